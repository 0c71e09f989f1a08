"""An MLflow tracking server over its REST interface; the package `mlflow` is never imported.

That import takes 2 to 3 seconds and 165 MB. The interface is that of
https://mlflow.org/docs/latest/api_reference/rest-api.html.
"""

from foundry_tui.tracking.mlflow.client import Mlflow

__all__ = ["Mlflow"]
