#!/bin/sh
# In MinIO: the bucket of members' files, its events for Daicho, and an account that may only read it.
# Run again, it changes nothing, or sets a key that .env has changed.
set -eu

mc alias set store http://minio:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
mc mb --ignore-existing store/members

mc admin policy create store members-reader /compose/members-reader.json
mc admin user add store daicho "$MINIO_DAICHO_PASSWORD"
mc admin policy attach store members-reader --user daicho

# DAICHO is the name that ends MinIO's MINIO_NOTIFY_WEBHOOK_…_DAICHO settings.
for suffix in .yml .yaml; do
    mc event add --ignore-existing --event put,delete --suffix "$suffix" \
        store/members arn:minio:sqs::DAICHO:webhook
done
