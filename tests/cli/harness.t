#!/bin/bash
# The harness itself: the fault shim hits what it says that it hits, and an assertion of lib.sh that does
# not hold fails. A harness that is silently harmless would make every other test pass.
. "$(dirname "$0")/../lib.sh"

cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null && command -v sqlite3 >/dev/null ||
    plan_skip "needs a C compiler and sqlite3"
if [ ! -r "$SHIM" ]; then
	SHIM=$TMP/shim.so
	$cc -D_GNU_SOURCE -std=c11 -O2 -fPIC -shared -o "$SHIM" "$TOP/tests/fault/shim.c" -ldl || exit 1
fi

# A program that makes each call once, and says how it went.
cat >victim.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void
say(const char *name, long result)
{
	printf("%s %s\n", name, result == -1 ? strerrorname_np(errno) : "ok");
}
#define TRY(name, ...) errno = 0, say(#name, (long)(name(__VA_ARGS__)))
#define TRY_ERRNO(name, ...) say(#name, (errno = name(__VA_ARGS__)) == 0 ? 0 : -1)

static void
every_call(void)
{
	char t1[] = "t1.XXXXXX", t2[] = "t2.XXXXXX", t3[] = "t3.XXXXXX", t4[] = "t4.XXXXXX.x",
	     t5[] = "t5.XXXXXX.x", t6[] = "t6.XXXXXX", t7[] = "t7.XXXXXX.x", t8[] = "t8.XXXXXX.x",
	     t9[] = "t9.XXXXXX";
	struct iovec v[2] = {{"abc", 3}, {"defgh", 5}};
	int fd, self = open("victim.c", O_RDONLY), d = AT_FDCWD;

	TRY(open, "f1", O_RDWR | O_CREAT, 0600);
	TRY(open64, "f2", O_RDWR | O_CREAT, 0600);
	TRY(openat, d, "f3", O_RDWR | O_CREAT, 0600);
	TRY(openat64, d, "f4", O_RDWR | O_CREAT, 0600);
	TRY(creat, "f5", 0600);
	TRY(creat64, "f6", 0600);
	TRY(mkstemp, t1);
	TRY(mkstemp64, t2);
	TRY(mkostemp, t3, O_CLOEXEC);
	TRY(mkostemps, t4, 2, O_CLOEXEC);
	TRY(mkostemps64, t5, 2, O_CLOEXEC);
	TRY(mkostemp64, t6, O_CLOEXEC);
	TRY(mkstemps, t7, 2);
	TRY(mkstemps64, t8, 2);
	say("mkdtemp", mkdtemp(t9) == NULL ? -1 : 0);
	TRY(mkdir, "d1", 0700);
	TRY(mkdirat, d, "d2", 0700);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	TRY(write, fd, "12345678", 8);
	TRY(pwrite, fd, "12345678", 8, 8);
	TRY(pwrite64, fd, "12345678", 8, 16);
	TRY(writev, fd, v, 2);
	TRY(sendfile, fd, self, NULL, 10);
	TRY(sendfile64, fd, self, NULL, 10);
	TRY(copy_file_range, self, NULL, fd, NULL, 10, 0);
	TRY(fsync, fd);
	TRY(fdatasync, fd);
	TRY(syncfs, fd);
	TRY(ftruncate, fd, 100);
	TRY(ftruncate64, fd, 200);
	TRY(truncate, "victim.c", 10);
	TRY(truncate64, "victim.c", 5);
	TRY(fallocate, fd, 0, 0, 300);
	TRY(fallocate64, fd, 0, 0, 300);
	TRY_ERRNO(posix_fallocate, fd, 0, 400);
	TRY_ERRNO(posix_fallocate64, fd, 0, 400);
	TRY(fchmod, fd, 0644);
	TRY(futimens, fd, NULL);
	TRY(utimensat, d, "victim.c", NULL, 0);
	close(creat("a", 0600));
	close(creat("b", 0600));
	close(creat("c", 0600));
	close(creat("e", 0600));
	mkdir("g", 0700);
	TRY(rename, "a", "a1");
	TRY(renameat, d, "b", d, "b1");
	TRY(renameat2, d, "c", d, "c1", 1);
	TRY(link, "e", "e1");
	TRY(linkat, d, "e", d, "e2", 0);
	TRY(symlink, "e", "s1");
	TRY(symlinkat, "e", d, "s2");
	TRY(unlink, "s1");
	TRY(unlinkat, d, "s2", 0);
	TRY(remove, "e");
	TRY(rmdir, "g");
}

static void *
many_writes(void *p)
{
	for (int i = 0; i < 1000; i++)
		if (write(*(int *)p, "x", 1) != 1)
			abort();
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct iovec v[3] = {{"abc", 3}, {"defg", 4}, {"hij", 3}};
	char *volatile p;

	if (strcmp(what, "every") == 0) {
		every_call();
	} else if (strcmp(what, "write") == 0) {
		write(1, "before\n", 7);
		write(creat("torn", 0600), "0123456789", 10);
		write(1, "after\n", 6);
	} else if (strcmp(what, "writev") == 0) {
		writev(creat("torn", 0600), v, 3);
	} else if (strcmp(what, "_exit") == 0) {
		mkdir("left", 0700);
		_exit(3);
	} else if (strcmp(what, "threads") == 0) {
		int fd = open("/dev/null", O_WRONLY);
		pthread_t t[8];

		for (int i = 0; i < 8; i++)
			pthread_create(&t[i], NULL, many_writes, &fd);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	} else if (strcmp(what, "alloc") == 0) {
		char text[] = "malloc:. calloc:. realloc:. strdup:.\n";

		p = malloc(1000);
		text[7] = p == NULL && errno == ENOMEM ? '-' : '+';
		free(p);
		p = calloc(10, 100);
		text[16] = p == NULL && errno == ENOMEM ? '-' : '+';
		p = realloc(p, 2000);
		text[26] = p == NULL && errno == ENOMEM ? '-' : '+';
		p = realloc(p, 0);
		p = strdup("a text");
		text[35] = p == NULL && errno == ENOMEM ? '-' : '+';
		free(p);
		write(1, text, sizeof text - 1);
	}
	return 0;
}
END
$cc -D_GNU_SOURCE -O0 -w -pthread -o victim victim.c || exit 1

old_or_new()
{
	case $(sqlite3 "$1" "PRAGMA integrity_check; SELECT group_concat(x) FROM t" 2>&1 | tr '\n' ' ') in
	"ok 1 "|"ok 1,2 ") ;;
	*) false ;;
	esac
}
new_db()
{
	rm -rf db && mkdir db &&
	    sqlite3 db/x "PRAGMA journal_mode = ${1:-delete}; CREATE TABLE t(x); INSERT INTO t VALUES (1)" >"$_lib/sql"
}
insert="INSERT INTO t VALUES (2)"
stdout()
{
	cat "$out"
}

# --- the shim counts
for journal in delete wal; do
	new_db "$journal"
	rm -f n
	fault FAULT_COUNT=n sqlite3 db/x "$insert"
	status "$journal: sqlite3 runs unharmed when only counted" 0
	calls=$(cat n)
	ok "$journal: sqlite3's calls are seen through its own table of functions" test "$calls" -ge 5
	new_db "$journal"
	fault FAULT_COUNT=n sqlite3 db/x "$insert"
	is "$journal: the same run makes the same count" "$(tail -n 1 n)" "$calls"

	# --- the shim kills
	bad=
	new=0
	for ((i = 1; i <= calls + 1; i++)); do
		new_db "$journal"
		rm -f n
		fault FAULT_AT=$i FAULT_MODE=kill FAULT_COUNT=n sqlite3 db/x "$insert"
		[ "$i" -gt "$calls" ] && want=0 || want=137
		[ "$st" = "$want" ] && [ "$(cat n)" = $((i < calls ? i : calls)) ] && old_or_new db/x ||
		    bad="$bad $i(status $st, count $(cat n))"
		[ "$(sqlite3 db/x "SELECT count(*) FROM t")" = 2 ] && new=$((new + 1))
	done
	is "$journal: sqlite3 is killed at each of its $calls calls, not at one more" "$bad" ""
	ok "$journal: early kills leave the old state, the last run the new one" \
	    test "$new" -ge 1 -a "$new" -le "$calls"

	# --- the shim fails
	bad=
	failed=0
	for ((i = 1; i <= calls; i++)); do
		for mode in error errors; do
			new_db "$journal"
			fault FAULT_AT=$i FAULT_MODE=$mode FAULT_ERRNO=ENOSPC sqlite3 db/x "$insert"
			[ "$st" -lt 126 ] && old_or_new db/x || bad="$bad $i($mode: status $st)"
			[ "$st" = 0 ] || failed=$((failed + 1))
		done
	done
	is "$journal: sqlite3 survives each of its calls failing" "$bad" ""
	ok "$journal: and reports some of the failures" test "$failed" -ge 3
done
new_db
fault FAULT_AT=1 FAULT_MODE=error FAULT_ERRNO=ENOSPC FAULT_CALLS=pwrite sqlite3 db/x "$insert"
stderr_has "pwrite failing with ENOSPC is a full disk for SQLite" "disk is full"
new_db
fault FAULT_AT=1 FAULT_MODE=error FAULT_CALLS=fsync,fdatasync sqlite3 db/x "$insert"
stderr_has "fsync fails with EIO unless told otherwise" "disk I/O error"
new_db
fault FAULT_AT=1 FAULT_MODE=killafter FAULT_CALLS=unlink sqlite3 db/x "$insert"
status "killafter kills" 137
is "after the call is made: SQLite's commit, the removal of its journal, is there" \
    "$(sqlite3 db/x "SELECT count(*) FROM t")" 2
new_db
fault FAULT_AT=1 FAULT_MODE=kill FAULT_CALLS=unlink sqlite3 db/x "$insert"
is "kill kills before the call: the removal of SQLite's journal is not there" \
    "$(sqlite3 db/x "SELECT count(*) FROM t")" 1

head -c 300000 /dev/urandom >big
fault FAULT_COUNT=n2 cp --reflink=never --sparse=never big big2
ok "cp is counted" test "$(cat n2)" -ge 2
fault FAULT_AT=2 FAULT_MODE=errors FAULT_ERRNO=28 cp --reflink=never --sparse=never big big3
status "cp fails" 1
stderr_has "and says why: an errno can be a number" "No space left"
fault FAULT_AT=1 FAULT_MODE=torn FAULT_CALLS=write,copy_file_range \
    cp --reflink=never --sparse=never big big4
status "a torn copy dies" 137
ok "in the middle" test "$(stat -c %s big4)" -gt 0 -a "$(stat -c %s big4)" -lt 300000

fault FAULT_AT=1 FAULT_MODE=torn FAULT_CALLS=write ./victim write
status "a torn write dies" 137
is "with half of its bytes on disk" "$(cat torn)" 01234
is "and stdout was neither hit nor counted" "$(stdout)" before
fault FAULT_AT=1 FAULT_MODE=torn FAULT_CALLS=writev ./victim writev
is "a torn writev leaves half of all its pieces" "$(cat torn)" abcde
rm -f n
fault FAULT_COUNT=n ./victim write
is "a create and a write are two calls" "$(cat n)" 2
rm -rf n left
fault FAULT_COUNT=n ./victim _exit
is "_exit writes the count too" "$st $(cat n)" "3 1"
rm -f n
fault FAULT_COUNT=n ./victim threads
is "8 threads of 1000 writes are 8000 calls" "$(cat n)" 8000

# --- each call
every()
{
	rm -rf calls && mkdir calls && cp victim.c calls && cd calls || exit 1
	fault "$@" ../victim every
	cd ..
}
every FAULT_AT=0
is "each call passes when none is hit" "$(grep -v ' ok$' "$out")" ""
cut -d ' ' -f 1 "$out" >"$_lib/calls"
ok "the shim knows more than forty calls" test "$(wc -l <"$_lib/calls")" -gt 40
bad=
while read -r call; do
	every FAULT_AT=1 FAULT_MODE=errors FAULT_ERRNO=EDQUOT FAULT_CALLS="$call"
	grep -qx "$call EDQUOT" "$out" || bad="$bad $call(error)"
	every FAULT_AT=1 FAULT_MODE=kill FAULT_CALLS="$call"
	[ "$st" = 137 ] || bad="$bad $call(kill: $st)"
done <"$_lib/calls"
is "each call can be made to fail and to kill, by name" "$bad" ""
every FAULT_AT=3 FAULT_MODE=error FAULT_CALLS=open,openat
is "only the Nth of the chosen calls fails; open means open64" \
    "$(grep -v ' ok$' "$out")" "openat EIO"

# --- allocations
fault FAULT_ALLOC_COUNT=n3 ./victim alloc
is "each allocation passes when none is hit" "$(stdout)" "malloc:+ calloc:+ realloc:+ strdup:+"
allocs=$(cat n3)
got=
for ((i = 1; i <= allocs + 1; i++)); do
	fault FAULT_ALLOC=$i ./victim alloc
	got="$got$(stdout)
"
done
for want in "malloc:- calloc:+ realloc:+ strdup:+" "malloc:+ calloc:- realloc:+ strdup:+" \
    "malloc:+ calloc:+ realloc:- strdup:+" "malloc:+ calloc:+ realloc:+ strdup:-"; do
	is "one allocation fails, the others do not: $want" "$(grep -cxF -e "$want" <<<"$got")" 1
done
fault FAULT_ALLOC_COUNT=n4 sqlite3 :memory: "SELECT 1"
allocs=$(cat n4)
bad=
oom=0
for ((i = 1; i <= allocs; i += 7)); do
	fault FAULT_ALLOC=$i sqlite3 :memory: "SELECT 1"
	[ "$st" -lt 126 ] || bad="$bad $i($st)"
	grep -qi "out of memory" "$errf" && oom=$((oom + 1))
done
is "sqlite3 survives failing allocations" "$bad" ""
ok "and reports them" test "$oom" -ge 1

if $cc -D_GNU_SOURCE -O0 -w -pthread -fsanitize=address -o victim-asan victim.c 2>"$_lib/asan"; then
	fault FAULT_AT=1 FAULT_MODE=torn FAULT_CALLS=write ./victim-asan write
	status "below AddressSanitizer calls are hit" 137
	fault FAULT_ALLOC_COUNT=n5 ./victim-asan alloc
	is "below AddressSanitizer allocations pass" "$(stdout)" "malloc:+ calloc:+ realloc:+ strdup:+"
	if [ "$(cat n5)" = 0 ]; then
		skip "below AddressSanitizer allocations fail" "$cc puts it into the program"
	else
		bad=1
		for ((i = 1; i <= $(cat n5); i++)); do
			fault FAULT_ALLOC=$i ./victim-asan alloc
			[ "$(stdout)" = "malloc:+ calloc:- realloc:+ strdup:+" ] && bad=
		done
		is "below AddressSanitizer allocations fail" "$bad" ""
	fi
else
	skip "below AddressSanitizer" "$cc has none"
fi

# --- settings that make no sense
for setting in "FAULT_AT=x FAULT_MODE=kill" "FAULT_AT=1 FAULT_MODE=explode" "FAULT_AT=1" \
    "FAULT_AT=1 FAULT_MODE=error FAULT_ERRNO=EFOO" "FAULT_AT=-1 FAULT_MODE=kill" "FAULT_ALLOC=" \
    "FAULT_COUNT=/nowhere/n"; do
	# shellcheck disable=SC2086
	fault $setting ./victim write
	status "a fault that makes no sense is no fault that passes: $setting" 125
done

# --- lib.sh: a child test with one assertion; its report is in $out, and what it tells of failures in $errf
child()
{
	mkdir -p child/tests/cli
	cp "$TOP/tests/lib.sh" child/tests
	{
		echo '. "$(dirname "$0")/../lib.sh"'
		cat
	} >child/tests/cli/child.t
	REC_BIN=${child_bin:-} REC_WRAP=${child_wrap:-} run bash child/tests/cli/child.t
	kept=$(sed -n 's/^# kept: //p' "$errf")
}
fails()
{
	is "$1: is a failure" "$(grep -c '^not ok 1 - promise$' "$out") $st" "1 1"
	ok "$1: its folder is kept and named" test -d "$kept"
	[ -n "$kept" ] && rm -rf "$kept"
}

while IFS='|' read -r name body; do
	child <<<"$body; done_testing"
	cat "$out" "$errf" >report
	fails "$name"
done <<'END'
a command that fails|ok promise false
two strings that differ|is promise a b
another status|run true; status promise 1
noise on stderr|run sh -c "echo x >&2"; stderr_empty promise
a pattern that is not there|run sh -c "echo x >&2"; stderr_has promise "^y"
JSON that differs|run echo '{"a":1}'; jq_is promise .a 2
text that is no JSON|run echo '{'; jq_is promise .a ""
a quiet command with a status|quiet_ok promise sh -c "exit 1"
a quiet command with noise|quiet_ok promise sh -c "echo x >&2"
a command that is not there|ok promise no-such-command
END
child <<<'run sh -c "echo 1..9; echo ok 7; echo why >&2; exit 5"; is promise "one
two" "one
2"; done_testing'
cat "$out" "$errf" >report
ok "a failure shows the command" grep -q '^# command: sh -c ' report
ok "its status" grep -q '^# status: 5$' report
ok "its stderr" grep -q '^#   why$' report
ok "the difference" grep -q '^#   -2$' report
ok "the line" grep -q 'child.t, line 2; kept: ' report
is "and nothing of it is taken for TAP" "$(grep -v '^#' report)" "not ok 1 - promise
1..1"
[ -n "$kept" ] && rm -rf "$kept"

child <<'END'
run sh -c 'cat; echo "{\"a\":[1,\"é\"]}"; echo warned >&2; exit 3'
status "status" 3
stderr_has "pattern" '^warned$'
jq_is "JSON" '.a[1]' é
jq_is "JSON, compact" . '{"a":[1,"é"]}'
run_in /dev/stdin cat <<<'{"b":null}'
jq_is "stdin" .b null
ok "stdin" grep -q x <<<x
jq_is "an ok leaves the last run alone" .b null
stderr_empty "silence"
quiet_ok "quiet" true
yes_or_no() { [ "$1" = yes ]; }
ok "a function" yes_or_no yes
is "a # in a name" "" ""
skip "this" "that"
pwd >"$TOP/where"
done_testing
END
is "assertions that hold pass" "$st $(grep -c '^ok' "$out") $(tail -n 1 "$out")" "0 12 1..12"
ok "a skip says so" grep -qx 'ok 12 - this # SKIP that' "$out"
ok "a test runs in a folder of its own" grep -q '/rectools-child\.' child/where
ok "which is removed when it passes" test ! -e "$(cat child/where)"

child <<<'ok "fine" true'
is "a test without done_testing fails" "$st $(grep -c 'before done_testing' "$errf")" "1 1"
rm -rf "$kept"
child <<<'ok "fine" true; echo $no_such_variable; done_testing'
is "a test that dies half way fails" "$st $(grep -c 'before done_testing' "$errf")" "1 1"
rm -rf "$kept"
child <<<'done_testing'
is "a test of nothing fails" "$st" 1
child <<<'plan_skip "no sound card"; ok "never" false'
is "a test can be skipped with its reason" "$st $(cat "$out")" "0 1..0 # SKIP no sound card"
child <<<'SHIM=/nowhere/shim.so; fault FAULT_AT=1 FAULT_MODE=kill true; ok "never" true; done_testing'
is "a fault without the shim ends the test" "$st" 1
rm -rf "$kept"
APP_ENVIRONMENT=testing REC_ROOT=/x child <<<'is "unset" "${REC_ROOT-}${APP_ENVIRONMENT-}" ""; done_testing'
status "settings of the caller do not reach the tests" 0

mkdir bin
printf '#!/bin/sh\necho "tool $*"\n' >bin/rec-x
chmod +x bin/rec-x
child_bin=bin child <<<'run rec-x 1 "2 3"; is x "$(cat "$out")" "tool 1 2 3"; done_testing'
status "the tools are found" 0
child_bin=bin child_wrap="env V=1" child <<<'run xargs rec-x; is x "$(cat "$out")" "tool "
case $(head -n 2 "$BIN/rec-x") in *"exec env V=1 "*) ok "wrapped" true;; esac; done_testing'
is "and run under REC_WRAP" "$st $(grep -c wrapped "$out")" "0 1"

# --- dump_old, manifest
sqlite3 d.db "PRAGMA journal_mode = wal; CREATE TABLE recordings(id INTEGER PRIMARY KEY, \"a'b\" REAL);
    CREATE TABLE \"odd \"\" ' name\"(x PRIMARY KEY) WITHOUT ROWID; INSERT INTO \"odd \"\" ' name\" VALUES ('y');
    INSERT INTO recordings VALUES (2, 0.5), (1, NULL)" >"$_lib/sql"
before=$(dump_old d.db)
is "a dump has the rows in order, also of a table with an odd name" \
    "$(sed -n '/^rows of/,$p' <<<"$before")" "rows of odd \" ' name
'x'
'y'
rows of recordings
'id','a''b'
1,NULL
2,0.5"
sqlite3 d.db "CREATE TABLE rec_x(id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE); INSERT INTO rec_x(u) VALUES (1);
    CREATE INDEX rec_i ON recordings(id); CREATE TRIGGER rec_t AFTER INSERT ON recordings BEGIN SELECT 1; END;
    DELETE FROM recordings WHERE id = 1; INSERT INTO recordings VALUES (1, NULL)"
is "tables, indexes and triggers of rec_ do not show in a dump" "$(dump_old d.db)" "$before"
sqlite3 d.db "CREATE TABLE recx(id)"
ok "a table named recx does" test "$(dump_old d.db)" != "$before"
sqlite3 d.db "DROP TABLE recx; UPDATE recordings SET \"a'b\" = 0.50000000000000011 WHERE id = 2"
ok "the last bit of a number does" test "$(dump_old d.db)" != "$before"
run dump_old nothing.db
ok "a dump of nothing fails" test "$st" != 0

mkdir -p m/sub 'm/sub.x'
printf one >m/sub/f
printf two >'m/sub.x/new
line'
ln -s f m/sub/link
touch -d '2025-09-05 10:00:00.123456789Z' m/sub/f m/sub.x/*
manifest m >m1
is "a manifest has hash, size, time and path of a file" "$(grep ' ./sub/f$' m1)" \
    "$(printf one | sha256sum | cut -c 1-64) 3 1757066400.123456789 ./sub/f"
is "of every file, folder and link" "$(grep -c . m1)" 6
touch m/sub/f
ok "another mtime shows" test "$(manifest m)" != "$(cat m1)"
touch -d '2025-09-05 10:00:00.123456789Z' m/sub/f
touch m
is "a folder's does not" "$(manifest m)" "$(cat m1)"
mkdir m/empty
ok "a new folder shows" test "$(manifest m)" != "$(cat m1)"
run manifest nowhere
ok "a manifest of nothing fails" test "$st" != 0

if have_shared; then
	for shape in 0001 0002 4ae620c1c938 cabc59ea0c9d unversioned; do
		root=$(archive "$shape")
		manifest "$root" >m1
		dump_old "$root/db/app.db" >dump
		ok "archive $shape unpacks, with rows" grep -q '^rows of recordings$' dump
		is "and a dump leaves it as it is" "$(manifest "$root")" "$(cat m1)"
	done
else
	skip "archives unpack" "no ../shared/archives"
fi
ok "no archive, no path" test -z "$(archive none)"

done_testing
