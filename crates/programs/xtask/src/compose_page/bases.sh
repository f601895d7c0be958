# Makes the base images of a deployment out of Debian packages, as archives: bases.sh DIRECTORY SUITE
#
# Where nothing can be pulled. What an archive is told at its import (user, entrypoint) stands in ground.rs.
set -eu
target=$1
suite=$2
mkdir -p "$target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The machine's own source of packages.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk '/^URIs:/ { print $2; exit } /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }')

if [ ! -s "$target/debian.tar" ]; then
    debootstrap --variant=minbase "$suite" "$work/debian" "$mirror"
    tar -C "$work/debian" -cf "$work/debian.tar" .
    mv "$work/debian.tar" "$target/debian.tar"
fi

if [ ! -s "$target/postgres.tar" ]; then
    mkdir "$work/postgres"
    tar -C "$work/postgres" -xf "$target/debian.tar"
    cp /etc/resolv.conf "$work/postgres/etc/resolv.conf"
    # As the official image has it: the user, a configuration that listens, no cluster of Debian's.
    chroot "$work/postgres" sh -eu <<'INSIDE'
export DEBIAN_FRONTEND=noninteractive
groupadd -r postgres --gid=999
useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres
apt-get update
apt-get install -y --no-install-recommends postgresql-common
sed -ri 's/#(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf
apt-get install -y --no-install-recommends postgresql-15
apt-get clean
rm -rf /var/lib/apt/lists/*
sed -ri "s!^#?(listen_addresses)\s*=\s*\S+.*!\1 = '*'!" /usr/share/postgresql/15/postgresql.conf.sample
install -d -o postgres -g postgres -m 3777 /var/run/postgresql
install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
mkdir /docker-entrypoint-initdb.d
INSIDE
    cat >"$work/postgres/usr/local/bin/docker-entrypoint.sh" <<'INSIDE'
#!/bin/sh
# What docker-compose.yml needs of the official image's entrypoint, in its order: a cluster where there is none, a server
# on the socket alone that is told what lies in docker-entrypoint-initdb.d, and then the server itself.
set -eu
mkdir -p "$PGDATA"
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    cat "$POSTGRES_PASSWORD_FILE" >/tmp/password
    # shellcheck disable=SC2086 # Words.
    initdb --username=postgres --pwfile=/tmp/password $POSTGRES_INITDB_ARGS
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    psql -v ON_ERROR_STOP=1 --username=postgres --no-psqlrc --dbname=postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql -v ON_ERROR_STOP=1 --username=postgres --no-psqlrc --dbname="$POSTGRES_DB" -f "$file"
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@"
INSIDE
    chmod 755 "$work/postgres/usr/local/bin/docker-entrypoint.sh"
    tar -C "$work/postgres" -cf "$work/postgres.tar" .
    mv "$work/postgres.tar" "$target/postgres.tar"
fi

# The toolchain: the same Debian, and a cargo that hands over what was built on this machine before.
mkdir "$work/rust"
tar -C "$work/rust" -xf "$target/debian.tar"
mkdir -p "$work/rust/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$work/rust/etc/ssl/certs/"
cat >"$work/rust/usr/local/bin/cargo" <<'INSIDE'
#!/bin/sh
set -eu
while [ "$1" != --profile ]; do shift; done
directory=$CARGO_TARGET_DIR/$([ "$2" = dev ] && echo debug || echo "$2")
mkdir -p "$directory"
cp /built/* "$directory"
INSIDE
for program in cmake g++ strip; do printf '#!/bin/sh\n' >"$work/rust/usr/local/bin/$program"; done
chmod 755 "$work/rust/usr/local/bin/"*
mkdir "$work/rust/built"
cp "$BUILT/countersignd" "$BUILT/countersign" "$work/rust/built/"
strip --strip-debug "$work/rust/built/"*
tar -C "$work/rust" -cf "$work/rust.tar" .
mv "$work/rust.tar" "$target/rust.tar"
