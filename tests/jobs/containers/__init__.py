"""Job specs in containers: on KAI and on Run:ai."""
