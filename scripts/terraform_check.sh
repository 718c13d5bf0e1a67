#!/usr/bin/env bash
# Checks terraform/: how it is written, whether it is valid with the real AWS provider, its own tests, what it plans,
# applies and destroys against a local server, and what checkov finds. Ends with a summary of what was run and what was not.
#
# usage: scripts/terraform_check.sh [--if-possible]
#   --if-possible   the short form, for `make test`, beside `pytest tests/terraform`: how it is written, and whether an
#                   environment and all its modules are valid. A machine without Terraform is no failure.
#
# The provider is taken from $PATCHBAY_TERRAFORM_PLUGINS or $TF_PLUGIN_DIR, else from the usual plugin directories, else
# from a registry. No cloud is reached, and no credentials are used.
set -euo pipefail
cd "$(dirname "$0")/.."
short=
case "${1:-}" in
  '') ;;
  --if-possible) short=yes ;;
  *) echo "terraform-check: no such option: $1" >&2; exit 64 ;;
esac

say() { printf 'terraform-check: %s\n' "$*"; }
summary=()
failed=()
note() { summary+=("$1"); }
fail() { summary+=("FAILED  $1"); failed+=("$1"); }
finish() {
  say 'summary'
  printf '  %s\n' "${summary[@]}"
  [ "${#failed[@]}" -eq 0 ] || { say "${#failed[@]} failed"; exit 1; }
  say 'nothing failed'
  exit 0
}
missing=
not_here() {
  missing=yes
  note "not run $1"
  [ -z "$short" ] || finish
  fail 'Terraform or its provider is missing: only what needs neither was run'
}

# Nothing of the caller's own account or configuration takes part.
plugins=${PATCHBAY_TERRAFORM_PLUGINS:-${TF_PLUGIN_DIR:-}}
for name in $(compgen -e | grep -E '^(TF_|AWS_)' || true); do unset "$name"; done
export TF_CLI_CONFIG_FILE=/dev/null TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_EC2_METADATA_DISABLED=true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v terraform >/dev/null; then
  not_here 'Terraform is not installed: https://developer.hashicorp.com/terraform/install'
else
  version=$(terraform version -json | python3 -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])')
  python3 -c 'import sys; sys.exit(tuple(map(int, sys.argv[1].split(".")[:2])) < (1, 11))' "$version" ||
    not_here "Terraform 1.11 or later is needed, this is $version"
fi

# has_provider DIRECTORY: laid out by registry, as `terraform providers mirror` does, packed or not.
has_provider() {
  compgen -G "$1/*/hashicorp/aws/*/*/terraform-provider-aws*" >/dev/null ||
    compgen -G "$1/*/hashicorp/aws/*.zip" >/dev/null
}
# find_provider: sets plugins, or says that there is none.
find_provider() {
  local folder
  if [ -n "$plugins" ]; then
    has_provider "$plugins" || not_here "there is no AWS provider in $plugins, which the environment names"
    return
  fi
  for folder in "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /usr/share/terraform/plugins \
    .terraform-plugins /opt/*plugins* /opt/*/plugins; do
    if has_provider "$folder"; then
      plugins=$(cd "$folder" && pwd)
      return
    fi
  done
  if [ -z "$short" ]; then
    say 'no plugin directory has the AWS provider: asking the registry (some 700 MB)'
    if timeout 900 terraform -chdir=terraform/environments/production providers mirror "$PWD/.terraform-plugins" >"$work/mirror" 2>&1; then
      plugins=$PWD/.terraform-plugins
      return
    fi
  fi
  not_here 'the AWS provider is in no plugin directory and no registry can be reached: name a folder
          that `terraform providers mirror` made in PATCHBAY_TERRAFORM_PLUGINS'
}
[ -n "$missing" ] || find_provider

check_terraform() {
  local provider roots root name valid=0 ran=0 passed=0 tests module
  export PATCHBAY_TERRAFORM_PLUGINS=$plugins
  provider=$(find "$plugins"/*/hashicorp/aws -mindepth 1 -maxdepth 1 | sed 's/.*_\([0-9.]*[0-9]\)_.*/\1/; s|.*/||' | sort -V | tail -1)
  note "Terraform $version, the real AWS provider $provider"

  say 'fmt'
  if terraform fmt -check -recursive -diff terraform tests/terraform >"$work/fmt" 2>&1; then
    note 'ok      fmt'
  else
    cat "$work/fmt"; fail 'fmt: terraform fmt -recursive terraform tests/terraform'
  fi

  # The tree is copied, so that links to the provider and locks lie in no working tree.
  cp -r terraform "$work/terraform"
  find "$work" -name '.terraform*' -prune -exec rm -rf {} +
  printf 'terraform {\n  backend "local" {}\n}\n' | tee "$work"/terraform/environments/{production,staging}/backend_override.tf >/dev/null

  # Both environments are the same files; production alone stands for them in the short form.
  roots=("$work/terraform/environments/production/")
  [ -n "$short" ] || roots+=("$work/terraform/environments/staging/" "$work"/terraform/modules/*/)
  for root in "${roots[@]}"; do
    name=${root#"$work"/}
    say "validate ${name%/}"
    # A module whose providers the caller names cannot be validated by itself; environments do so.
    if grep -qs configuration_aliases "$root"versions.tf; then continue; fi
    if terraform -chdir="$root" init -no-color -plugin-dir="$plugins" >"$work/said" 2>&1 &&
      terraform -chdir="$root" validate -no-color >"$work/said" 2>&1; then
      valid=$((valid + 1))
    else
      cat "$work/said"; fail "validate ${name%/}"
    fi
  done
  note "ok      validate: $valid of ${#roots[@]} roots and modules (the rest take their providers from an environment, and are valid there)"
  [ -z "$short" ] || finish

  for tests in "$work"/terraform/modules/*/tests/; do
    module=$(dirname "$tests")
    name=${module#"$work"/}
    say "test ${name}"
    terraform -chdir="$module" init -no-color -plugin-dir="$plugins" >"$work/said" 2>&1 || true
    if terraform -chdir="$module" test -no-color >"$work/said" 2>&1; then
      passed=$((passed + $(grep -oE '[0-9]+ passed' "$work/said" | tail -1 | cut -d' ' -f1)))
    else
      cat "$work/said"; fail "terraform test in $name"
    fi
    ran=$((ran + 1))
  done
  note "ok      terraform test: $passed runs in $ran modules (plans, with the provider mocked)"
}
[ -n "$missing" ] || check_terraform

say 'plans, apply and destroy against a local server (moto)'
if .venv/bin/python -m pytest -q --long tests/terraform 2>&1 | tee "$work/pytest"; then
  note "ok      pytest --long tests/terraform: $(tail -1 "$work/pytest")"
  note "        $(grep -h 'applied and destroyed' "$work/pytest" | tail -1)"
else
  fail "pytest --long tests/terraform: $(tail -1 "$work/pytest")"
fi

say 'checkov'
if [ "$(cat .venv-checkov/.has 2>/dev/null)" != "$(sha256sum <requirements/checkov.txt)" ]; then
  say "installing checkov and $(grep -c '==' requirements/checkov.txt) locked packages into .venv-checkov"
  { rm -rf .venv-checkov && python3 -m venv .venv-checkov &&
    .venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/checkov.txt &&
    sha256sum <requirements/checkov.txt >.venv-checkov/.has; } || rm -rf .venv-checkov
fi
if [ ! -x .venv-checkov/bin/checkov ]; then
  fail 'checkov could not be installed: no package index can be reached'
elif .venv-checkov/bin/checkov --directory terraform --framework terraform --quiet --compact --skip-download >"$work/checkov" 2>&1; then
  note "ok      checkov $(.venv-checkov/bin/checkov --version): $(grep -h 'Passed checks' "$work/checkov" | tr 'A-Z' 'a-z'); each skip has its reason beside it"
else
  cat "$work/checkov"; fail 'checkov'
fi

note 'not run  anything in a real cloud; what moto lacks is planned only (terraform/README.md)'
finish
