# What the scripts beside this file share; read by them, not run. POSIX shell: nothing has to be installed.
set -eu
# What is saved holds private keys.
umask 077
called_in=$PWD
cd "$(dirname "$0")/.."

# A path as whoever called meant it, without slashes at its end.
absolute() {
    case $1 in
    /*) path=$1 ;;
    *) path=$called_in/$1 ;;
    esac
    while [ "$path" != "${path%/}" ]; do path=${path%/}; done
    printf '%s' "${path:-/}"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# docker-compose 1.29, or Compose 2; COUNTERSIGN_COMPOSE names another program.
compose() {
    if [ -n "${COUNTERSIGN_COMPOSE:-}" ]; then
        "$COUNTERSIGN_COMPOSE" "$@"
    elif command -v docker-compose >/dev/null 2>&1; then
        docker-compose "$@"
    else
        docker compose "$@"
    fi
}

# A program in a container that has every volume and ends; nothing else is started.
in_volumes() {
    program=$1
    shift
    compose run --rm --no-deps -T --entrypoint "$program" init "$@"
}

# Keys and chains that are in the volumes. That nobody could look is not that there are none.
kept_in_volumes() {
    in_volumes find /var/lib/countersign -type f -name '*.pem' ||
        fail "no container could look into the volumes, so nothing is known and nothing was done: the lines above say why"
}

# A program beside the database, as its superuser, who needs no password there.
in_database() {
    compose exec -T postgres "$@"
}

# What its superuser is answered. Where a password is asked for, as before there were two roles, nobody is there to type it.
ask_database() {
    in_database psql --username=postgres --no-password --dbname=countersign --no-psqlrc --tuples-only --command="$1" </dev/null
}

# Whether its superuser is `postgres`: before there were two roles it was `countersign`, which the services had too.
has_two_roles() {
    if said=$(ask_database 'SELECT 1' 2>&1); then
        return 0
    fi
    case $said in
    *'role "postgres" does not exist'* | *'no password supplied'* | *'password authentication failed'*) return 1 ;;
    esac
    fail "the database does not say whose it is: $said"
}

# Over its loopback: at its first start, before the roles are made, a server of the entrypoint's answers by the socket alone.
database_answers() {
    in_database pg_isready --quiet --host=127.0.0.1 --dbname=countersign </dev/null
}

# Waits until the database answers.
wait_for_database() {
    tries=0
    until database_answers; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || fail "the database does not answer: docker-compose logs postgres"
        sleep 1
    done
}
