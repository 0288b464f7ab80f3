#!/bin/sh
# List what each image holds beside its base, from the locks, as CycloneDX: `sh images/sbom.sh` writes
# build/sbom/NAME.cdx.json. Neither a time nor a random number is in it: the same locks give the same bytes.
set -eu
cd "$(dirname "$0")/.."

UV=.tools/uv/bin/uv # made by `make`

export_lock() {
    name=$1
    shift
    "$UV" export --quiet --frozen --offline --format cyclonedx1.5 "$@" |
        sed -e '/^  "serialNumber": /d' -e '/^    "timestamp": /d' >"build/sbom/$name.cdx.json"
    echo "build/sbom/$name.cdx.json"
}

mkdir -p build/sbom
for name in operator pipeline; do
    extras=$(sed -n 's/^ARG EXTRAS="\(.*\)"$/\1/p' "images/$name/Dockerfile")
    # shellcheck disable=SC2046 # one word for each extra
    export_lock "$name" $(printf -- '--extra %s ' $extras)
done
export_lock prefect --project images/prefect
