"""The control plane, one router a resource."""
