"""What a record needs so that a run can be reproduced: code, spec, data, environment."""
