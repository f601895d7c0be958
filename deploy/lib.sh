# What the scripts beside this file share; read by them, not run. POSIX shell: nothing has to be installed.
set -eu
# What is saved holds private keys.
umask 077
called_in=$PWD
cd "$(dirname "$0")/.."

# A path as whoever called meant it.
absolute() {
    case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$called_in/$1" ;;
    esac
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

# A program beside the database, as its superuser, who needs no password there.
in_database() {
    compose exec -T postgres "$@"
}

# Whether its superuser is `postgres`: before there were two roles it was `countersign`, which the services had too.
has_two_roles() {
    in_database psql --username=postgres --dbname=countersign --no-psqlrc --command='SELECT 1' >/dev/null 2>&1
}

# Waits until the database answers.
wait_for_database() {
    tries=0
    until in_database pg_isready --quiet --dbname=countersign; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || fail "the database does not answer: docker-compose logs postgres"
        sleep 1
    done
}
