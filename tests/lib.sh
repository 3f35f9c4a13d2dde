# lib.sh: what the command tests share. Bash; sourced first by each tests/cli/*.t:
#
#	#!/bin/bash
#	. "$(dirname "$0")/../lib.sh"
#	root=$(archive 0002) || plan_skip "no ../shared/archives"
#	run rec-meta -C "$root" list
#	status "listing works" 0
#	jq_is "the first id" 'select(.id == 1) | .title' "First"
#	done_testing
#
# A test runs in a temporary folder of its own ($TMP, the current folder). It is removed when every
# assertion held, else kept and named. The tools are found in PATH. Settings of the caller's environment
# that rectools read (REC_*, RECORDINGS_*, ...) are unset, except the three below.
#
#	REC_BIN    where the tools are; build/bin unless set
#	REC_SHIM   the fault shim; ../fault/shim.so beside the tools unless set
#	REC_WRAP   a command that the tools run under, e.g. "valgrind -q --error-exitcode=99"
#
# What a test may use:
#
#	$TOP $BIN $SHIM $SHARED $TMP   the repository, the tools, the fault shim, ../shared, own folder
#	run CMD...                  stdin is empty; leaves $st, and files $out and $errf
#	run_in FILE CMD...          the same, with stdin from FILE (/dev/stdin for a here-document)
#	fault VAR=VALUE... CMD...   as run, under the shim (see tests/fault/shim.c); with REC_WRAP the calls
#	                            and allocations of the wrapper and of its shell count too
#	ok NAME CMD...              CMD exits 0; $st, $out and $errf stay those of the last run
#	is NAME GOT WANTED          two strings are the same
#	status NAME N               exit status of the last run
#	stderr_empty NAME           nothing on its stderr
#	stderr_has NAME PATTERN     its stderr matches the extended regular expression
#	jq_is NAME FILTER WANTED    what `jq -rc FILTER` makes of its stdout
#	quiet_ok NAME CMD...        as run; CMD exits 0 and its stderr is empty
#	skip NAME REASON            one assertion that cannot be made here
#	plan_skip REASON            ends the test before its first assertion
#	done_testing                prints the plan; last
#	have_shared [PATH]          ../shared/PATH is there; archives unless given
#	archive SHAPE               unpacks an archive into a fresh folder and prints its path
#	dump_old DB                 schema and rows of everything whose name does not start with rec_
#	manifest DIR                a line for everything in DIR: SHA-256, size, mtime and path of a file

set -u
umask 022
exec </dev/null
export LC_ALL=C.UTF-8

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BIN=$(realpath -m -- "${REC_BIN:-$TOP/build/bin}")
SHIM=$(realpath -m -- "${REC_SHIM:-${BIN%/*}/fault/shim.so}")
SHARED=$TOP/../shared
wrap=${REC_WRAP:-}
for _v in $(compgen -v REC_) $(compgen -v RECORDINGS_) $(compgen -v GOOGLE_) $(compgen -v FAULT_) $(compgen -v AWS_) \
    APP_ENVIRONMENT DATABASE_URL AUDIO_SAMPLE_RATE AUDIO_CHANNELS AUDIO_FORMAT LOG_LEVEL \
    CLOUD_FEATURES_ENABLED; do
	unset "$_v"
done

TMP=$(mktemp -d "${TMPDIR:-/tmp}/rectools-$(basename "$0" .t).XXXXXX") || exit 1
TMP=$(cd "$TMP" && pwd -P)
_lib=$TMP/.lib
mkdir "$_lib" || exit 1
cd "$TMP" || exit 1
out=$_lib/out
errf=$_lib/err
: >"$out"
: >"$errf"
st=0
_count=0
_failed=0
_done=0
_command=

# Scripts rather than functions, so that xargs, env and timeout find them too.
if [ -n "$wrap" ]; then
	mkdir "$_lib/bin"
	for _v in "$BIN"/rec-*; do
		[ -x "$_v" ] || continue
		printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$wrap" "$_v" >"$_lib/bin/${_v##*/}"
		chmod +x "$_lib/bin/${_v##*/}"
	done
	BIN=$_lib/bin
fi
PATH=$BIN:$PATH

_finish()
{
	local rc=$?

	trap - EXIT
	cd / || exit 1
	if [ "$_done" = 0 ]; then
		_tell "the test ended before done_testing, with status $rc"
		[ -n "$_command" ] && _tell "last command: $_command"
		[ "$rc" = 0 ] && rc=1
	fi
	if [ "$_done" = 1 ] && [ "$_failed" = 0 ]; then
		chmod -R u+rwX "$TMP" 2>/dev/null
		rm -rf "$TMP"
	else
		_tell "kept: $TMP"
	fi
	exit "$rc"
}
trap _finish EXIT

# What failed is told on stderr, which prove shows. Each line is a TAP comment, so that no output of a command is
# taken for TAP.
_tell()
{
	printf '# %s\n' "${*//$'\n'/ }" >&2
}

_comment()
{
	sed 's/^/#   /' | head -n "${1:-60}" >&2
}

_pass()
{
	_count=$((_count + 1))
	echo "ok $_count - ${1//#/\\#}"
}

# The caller prints what was wanted after it.
_fail()
{
	_count=$((_count + 1))
	_failed=$((_failed + 1))
	echo "not ok $_count - ${1//#/\\#}"
	_tell "Failed: ${1}"
	_tell "at ${BASH_SOURCE[2]}, line ${BASH_LINENO[1]}; kept: $TMP"
}

_explain_run()
{
	_explain "$_command" "$st" "$errf"
}

_explain()
{
	_tell "command: $1"
	_tell "status: $2"
	if [ -s "$3" ]; then
		_tell "its stderr:"
		_comment 20 <"$3"
	fi
}

_differ()
{
	diff -u --label wanted --label got <(printf '%s\n' "$1") <(printf '%s\n' "$2") | _comment
}

# _call OUT ERR CMD...
_call()
{
	local to=$1 errors=$2

	shift 2
	printf -v _called '%q ' "$@"
	if [ "$(type -t -- "$1")" = file ]; then
		set -- exec "$@"
	fi
	# The outer redirection is for what bash says about a command that a signal killed.
	{ ( "$@" ) >"$to" 2>"$errors"; } 2>/dev/null
}

run_in()
{
	local stdin=$1

	shift
	_call "$out" "$errf" "$@" <"$stdin"
	st=$?
	_command=$_called
}

run()
{
	run_in /dev/null "$@"
}

# Without the shim ld.so would only warn, and the command would run unharmed.
fault()
{
	if [ ! -r "$SHIM" ]; then
		_tell "there is no fault shim $SHIM"
		exit 1
	fi
	run env LD_PRELOAD="$SHIM" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$@"
}

ok()
{
	local name=$1 rc

	shift
	_call "$_lib/ok.out" "$_lib/ok.err" "$@"
	rc=$?
	if [ "$rc" = 0 ]; then
		_pass "$name"
		return
	fi
	_fail "$name"
	_explain "$_called" "$rc" "$_lib/ok.err"
	if [ -s "$_lib/ok.out" ]; then
		_tell "its stdout:"
		_comment 20 <"$_lib/ok.out"
	fi
	[ -n "$_command" ] && _tell "the last run: $_command(status $st)"
	return 1
}

is()
{
	if [ "$2" = "$3" ]; then
		_pass "$1"
		return
	fi
	_fail "$1"
	_differ "$3" "$2"
	[ -n "$_command" ] && _explain_run
	return 1
}

status()
{
	if [ "$st" = "$2" ]; then
		_pass "$1"
		return
	fi
	_fail "$1"
	_tell "wanted status $2, got $st"
	_explain_run
	return 1
}

stderr_empty()
{
	if [ ! -s "$errf" ]; then
		_pass "$1"
		return
	fi
	_fail "$1"
	_explain_run
	return 1
}

stderr_has()
{
	if grep -qE -e "$2" "$errf"; then
		_pass "$1"
		return
	fi
	_fail "$1"
	_tell "wanted on stderr: $2"
	_explain_run
	return 1
}

jq_is()
{
	local got

	if ! got=$(jq -rc "$2" "$out" 2>"$_lib/jq"); then
		_fail "$1"
		_tell "jq $2:"
		_comment <"$_lib/jq"
	elif [ "$got" = "$3" ]; then
		_pass "$1"
		return
	else
		_fail "$1"
		_differ "$3" "$got"
	fi
	_explain_run
	return 1
}

quiet_ok()
{
	local name=$1

	shift
	run "$@"
	if [ "$st" = 0 ] && [ ! -s "$errf" ]; then
		_pass "$name"
		return
	fi
	_fail "$name"
	_tell "wanted status 0 and an empty stderr"
	_explain_run
	return 1
}

skip()
{
	_count=$((_count + 1))
	echo "ok $_count - ${1//#/\\#} # SKIP $2"
}

plan_skip()
{
	echo "1..0 # SKIP $1"
	_done=1
	exit 0
}

done_testing()
{
	echo "1..$_count"
	_done=1
	[ "$_count" -gt 0 ] && [ "$_failed" = 0 ]
	exit
}

have_shared()
{
	[ -e "$SHARED/${1:-archives}" ]
}

archive()
{
	local dir

	have_shared "archives/voice-recorder-$1.tar.gz" || return 1
	dir=$(mktemp -d "$TMP/$1.XXXXXX") &&
	    tar -C "$dir" --no-same-owner -xzf "$SHARED/archives/voice-recorder-$1.tar.gz" &&
	    echo "$dir"
}

# Of a copy: opening a database in WAL mode may write to its folder. LIKE would take "recordings" for
# rec_*, its underscore being a wildcard.
dump_old()
{
	local copy side table rc=0
	local old="lower(substr(name, 1, 4)) <> 'rec_' AND lower(substr(tbl_name, 1, 4)) <> 'rec_'
	    AND name <> 'sqlite_sequence'"

	copy=$(mktemp -d "$_lib/dump.XXXXXX") && cp -- "$1" "$copy/db" || return 1
	for side in -wal -journal; do
		if [ -e "$1$side" ]; then
			cp -- "$1$side" "$copy/db$side" || return 1
		fi
	done
	_sql "$copy/db" "SELECT type || ' ' || name || ' on ' || tbl_name || char(10) ||
	    coalesce(sql, '') || ';' FROM sqlite_schema WHERE $old ORDER BY type, name" || rc=1
	_sql "$copy/db" "SELECT name FROM sqlite_schema WHERE type = 'table' AND $old ORDER BY name" \
	    >"$copy/tables" || rc=1
	while read -r table; do
		_dump_rows "$copy/db" "$table" || rc=1
	done <"$copy/tables"
	if [ -n "$(_sql "$copy/db" "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")" ]; then
		_sql "$copy/db" "SELECT 'sequence ' || name || ' ' || seq FROM sqlite_sequence
		    WHERE lower(substr(name, 1, 4)) <> 'rec_' ORDER BY name" || rc=1
	fi
	rm -rf "$copy"
	return "$rc"
}

# The user's ~/.sqliterc has no say.
_sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# Sorted by all columns, as the order in which rows were inserted does not matter.
_dump_rows()
{
	local single="'" double='"' columns

	columns=$(_sql "$1" "SELECT group_concat(cid + 1) FROM
	    pragma_table_info('${2//$single/$single$single}')") || return 1
	echo "rows of $2"
	_sql -quote -header "$1" \
	    "SELECT * FROM \"${2//$double/$double$double}\" ORDER BY $columns"
}

# Folders and links have a line too, so that nothing can be added unseen; a folder's mtime does not count.
manifest()
{
	local list

	list=$(mktemp -d "$_lib/manifest.XXXXXX") || return 1
	(
		set -o pipefail
		cd "$1" &&
		    find . -type f -print0 | LC_ALL=C sort -z >"$list/files" &&
		    xargs -0 -r sha256sum -z <"$list/files" | cut -z -c 1-64 >"$list/sums" &&
		    xargs -0 -r stat --printf '%s %.9Y %n\0' <"$list/files" >"$list/stats" &&
		    paste -z -d ' ' "$list/sums" "$list/stats" >"$list/all" &&
		    find . ! -type f -printf '%y %l %p\0' | LC_ALL=C sort -z >>"$list/all" &&
		    sed -z 's/\n/\\n/g' "$list/all" | tr '\0' '\n'
	) && rm -rf "$list"
}
