"""How Schemathesis is to go about the OpenAPI document: a module of hooks, and a configuration."""
