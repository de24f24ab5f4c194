#!/bin/sh
# Writes keys of your own into .env, for compose.yaml. Keys that are there already stay.
set -eu
cd "$(dirname "$0")/.."
umask 077
touch .env

# Whoever edited the file may have left its last line open.
if [ -n "$(tail -c 1 .env)" ]; then
    echo >> .env
fi
for name in POSTGRES_PASSWORD MINIO_ROOT_PASSWORD MINIO_DAICHO_PASSWORD DAICHO_TOKEN DAICHO_WEBHOOK_TOKEN; do
    if ! grep -q "^$name=." .env; then
        echo "$name=$(od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n')" >> .env
    fi
done
