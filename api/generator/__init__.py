"""openapi.yaml and schema/queries/*.sql made into C tables; routes.py is the command."""
