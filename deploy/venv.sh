# Sourced by deploy/quickstart and tests/run, from the top of the checkout.

# make_venv REQUIREMENT: .venv with triage in it, left alone where it is up to date.
make_venv() {
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "triage needs Python 3.11 or newer; name one with PYTHON=/path/to/python3" >&2
        exit 2
    fi
    if [ ! -x .venv/bin/pip ] && ! "$python" -m venv .venv; then
        echo "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 2
    fi
    echo "installing triage into .venv (torch is large: some minutes the first time)" >&2
    .venv/bin/pip install --quiet --disable-pip-version-check --editable "$1"
}
