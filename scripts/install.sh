#!/usr/bin/env bash
# Makes .venv with kafkalite and everything that developing it needs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite dev
