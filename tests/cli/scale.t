#!/bin/bash
# Many rows: memory does not grow with them, and what is done already costs a stat a file. REC_SCALE sets how
# many (`make check-scale` takes 100000); the files are hard links to a few tiny ones.
scale=${REC_SCALE:-5000}
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
case $scale in
'' | *[!0-9]*) plan_skip "REC_SCALE=$scale is no number" ;;
esac
[ "$scale" -ge 100 ] || plan_skip "REC_SCALE=$scale is too few to tell"

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# A file system may allow as few as 65,000 links to a file.
root=$TMP/archive
db=$root/db/app.db
raw=$root/recordings/raw
mkdir -p "$root/db" "$raw" tiny
for i in $(seq 1 $((scale / 5000 + 1))); do
	sox -R -n -r 8000 -b 16 "tiny/$i.wav" synth 0.0$((i % 9 + 1)) sine $((200 + i)) 2>/dev/null || plan_skip "sox cannot synthesize"
done
sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
sql "$db" "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
	sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
	PRIMARY KEY (id), UNIQUE (stored_filename));
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $scale)
    INSERT INTO recordings (id, filename, stored_filename, title, duration, status, created_at)
    SELECT i, 'take ' || i || '.wav', printf('raw_%032x.wav', i * 2654435761 % 4294967296), 'Take ' || i, 0.0, 'active', '2025-09-05 10:00:00' FROM n"
sql "$db" "SELECT stored_filename FROM recordings ORDER BY id" >names
# ln takes many names at once when the target is a folder, so the links are made from one folder of the names.
awk -v per=5000 '{ print int((NR - 1) / per) + 1, $0 }' names | while read -r source name; do
	printf '%s\0%s\0' "tiny/$source.wav" "$raw/$name"
done | if command -v perl >/dev/null; then
	perl -0 -ne 'chomp; if ($. % 2) { $s = $_ } else { link($s, $_) or die "$_: $!" }'
else
	xargs -0 -n 2 ln
fi
is "there are $scale rows and files" "$(wc -l <names) $(find "$raw" -type f | wc -l)" "$scale $scale"
before=$(dump_old "$db" | sha256sum)
files=$(manifest "$raw" | sha256sum)

limit=
if bash -c 'ulimit -v 409600; rec-migrate -V' >/dev/null 2>&1; then
	limit='ulimit -v 409600;'
else
	skip "400 MB of address space are enough" "the tools do not run with a limit of memory here"
fi
migrate()
{
	run bash -c "$limit"' exec rec-migrate -C "$0" "$@"' "$root" "$@"
}

migrate plan
status "plan in bounded memory" 0
is "plan names each row" "$(wc -l <"$out")" "$scale"
migrate status
jq_is "status counts what is due" '[.rows, .due, .measured, .orphans] | tojson' "[$scale,$scale,0,0]"
migrate apply
status "apply in bounded memory" 0
is "apply prints each row once" "$(jq .id "$out" | sort -un | wc -l) $(wc -l <"$out")" "$scale $scale"
is "apply filled each row" "$(sql "$db" "SELECT count(*), count(DISTINCT checksum), min(duration) > 0 FROM recordings WHERE checksum IS NOT NULL AND filesize_bytes > 44")" \
    "$scale|$((scale / 5000 + (scale % 5000 > 0)))|1"
migrate runs
jq_is "it is one run" '[.kind, .state, .rows, .problems] | tojson' "[\"apply\",\"applied\",$scale,0]"
after=$(sql "$db" .dump | sha256sum)

migrate apply
status "a second apply in bounded memory" 0
is "it has nothing to say" "$(cat "$out")" ""
is "and changes nothing" "$(sql "$db" .dump | sha256sum)" "$after"
is "and is no run" "$(rec-migrate -C "$root" runs | wc -l)" 1
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	strace -f -qq -o calls rec-migrate -C "$root" apply
	# Waiting between threads is no call a file, and depends on the day.
	grep -vE ' (futex|<\.\.\. futex|restart_syscall)' calls >work
	ok "it makes less than four calls a row" test "$(grep -cE '^[0-9]+ +[a-z0-9_]+\(' work)" -lt $((4 * scale))
	is "and opens no recording" "$(grep -E '(open|openat|openat2)\(' work | grep -c 'raw_[0-9a-f]*\.wav')" 0
	ok "but looks at each" test "$(grep -cE '(stat|statx|newfstatat|fstatat64)\(.*raw_[0-9a-f]*\.wav' work)" -ge "$scale"
	rm calls work
else
	skip "it makes less than four calls a row" "needs strace"
fi

migrate verify
status "verify in bounded memory" 0
jq_is "verify finds each complete" '[.rows, .complete] | tojson' "[$scale,$scale]"
migrate verify --quick
jq_is "--quick too" '[.rows, .complete] | tojson' "[$scale,$scale]"
run bash -c "$limit"' exec rec-meta -C "$0" list --sort=-duration_s' "$root"
is "list, sorted, in bounded memory" "$st $(wc -l <"$out")" "0 $scale"

migrate rollback
status "rollback in bounded memory" 0
is "rollback names each row once" "$(jq .id "$out" | wc -l) $(jq .id "$out" | sort -un | wc -l)" "$scale $scale"
is "all is as before" "$(dump_old "$db" | sha256sum)" "$before"
is "no file was touched" "$(manifest "$raw" | sha256sum)" "$files"

run bash -c "set -o pipefail; $limit"' rec-migrate -C "$0" plan | rec-meta -C "$0" probe | rec-migrate -C "$0" apply -' "$root"
status "plan | probe | apply - in bounded memory" 0
mask='s/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g'
is "makes as many rows complete" "$(rec-migrate -q -C "$root" verify | jq -c .complete)" "$scale"
cp -a "$root/db" piped
rec-migrate -q -C "$root" rollback >/dev/null
rec-migrate -q -C "$root" apply >/dev/null
is "and the same catalogue as apply" "$(sql "$db" .dump | sed -E "$mask" | sha256sum)" "$(sql piped/app.db .dump | sed -E "$mask" | sha256sum)"

# ---- rec-sync ----

# Once sent, comparing takes a listing and the catalogue.
if [ "$scale" -lt 100000 ]; then
	skip "rec-sync of what is there already" "make check-scale"
else
	remote=$TMP/remote
	mkdir "$remote"
	tool_kib()
	{
		/usr/bin/time -f %M -o kib "$BIN/rec-sync" -C "$root" -q "$@" --remote "file://$remote" >"$out" 2>"$errf" </dev/null
		st=$?
		kib=$(tail -n 1 kib)
	}
	tool_kib push
	status "push of $scale" 0
	is "each is there" "$(find "$remote/raw" -type f | wc -l) $(sql "$db" "SELECT count(*) FROM rec_objects") $(sql "$db" "SELECT count(*) FROM recordings WHERE sync_status = 'synced'")" "$scale $scale $scale"
	echo "# push: $kib KiB"
	for command in push verify; do
		tool_kib $command
		echo "# $command of what is there: $kib KiB"
		status "$command of what is there" 0
		ok "$command of what is there: below 32 MB" test "$kib" -lt 32768
		strace -f -qq -e trace=open,openat,openat2 -o calls rec-sync -C "$root" -q $command --remote "file://$remote" >"$out" </dev/null
		is "$command of what is there: opens no recording" "$(grep -c 'raw_[0-9a-f]*\.wav' calls)" 0
		[ $command = verify ] || is "and sends nothing" "$(cat "$out")" ""
	done
	jq_is "verify: all are proven" '[.recordings, .verified]' "[$scale,$scale]"
	rm -rf calls "$remote"
fi

# ---- rec-health ----

# A tenth of it, to compare with.
small=$TMP/small
tenth=$((scale / 10))
mkdir -p "$small/db" "$small/recordings/raw"
cp "$db" "$small/db/app.db"
sql "$small/db/app.db" "PRAGMA foreign_keys = ON; DELETE FROM recordings WHERE id > $tenth; DELETE FROM rec_volumes"
head -n "$tenth" names | (cd "$raw" && xargs -n 500 cp -l -t "$small/recordings/raw")
health()
{
	run bash -c "$limit"' exec rec-health -C "$0" -q -o json check "$@"' "$@"
}
health "$root"
is "check in bounded memory" "$st $(jq -r 'select(.check == "completeness.files") | .count' "$out")" "0 $scale"
before=$(sql "$db" "SELECT * FROM rec_measurements" | sha256sum)
health "$root" --fixity all -n
is "check --fixity all -n too" "$st $(jq -c 'select(.check == "fixity.files") | [.files, .unchanged]' "$out")" "0 [$scale,$scale]"
health "$root" --fixity all
is "check --fixity all too" "$st $(jq -c 'select(.check == "fixity.files") | [.files, .unchanged]' "$out")" "0 [$scale,$scale]"
is "it notes each" "$(sql "$db" "SELECT count(*) FROM rec_fixity WHERE verdict = 'ok'")" "$scale"
is "and leaves the measurements" "$(sql "$db" "SELECT * FROM rec_measurements" | sha256sum)" "$before"

# kib ROOT ARG...: the most memory that a check takes.
kib()
{
	local root=$1

	shift
	/usr/bin/time -f %M -o kib "$BIN/rec-health" -C "$root" -q check "$@" >/dev/null 2>&1
	tail -n 1 kib
}
# A sanitizer keeps what was freed.
if [ -x /usr/bin/time ] && [ -z "$wrap" ] && ! ldd "$BIN/rec-health" | grep -q libasan; then
	for how in none all; do
		few=$(kib "$small" --fixity $how)
		many=$(kib "$root" --fixity $how)
		echo "# check --fixity $how: $few KiB for $tenth recordings, $many KiB for $scale"
		ok "--fixity $how: less than 200 bytes more a recording" test "$(((many - few) * 1024))" -lt $((200 * (scale - tenth) + 4194304))
	done
else
	skip "memory does not grow with them" "needs /usr/bin/time, and nothing around or in the tools"
fi

# calls_of HOW...: the system calls of a check, a line each, without the waiting of threads.
calls_of()
{
	# The leak checker of a sanitizer does not work under strace.
	ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" \
	    strace -f -qq -o calls "$BIN/rec-health" -C "$root" -q check "$@" >/dev/null 2>&1
	grep -vE ' (futex|<\.\.\. |restart_syscall)' calls | grep -E '^[0-9]+ +[a-z0-9_]+\(' >work
	echo "# check $*: $(wc -l <work) calls for $scale recordings:" "$(sed -E 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/' work | sort | uniq -c | sort -rn | awk 'NR <= 7 { printf "%s %s  ", $2, $1 }')"
}
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null && [ -z "$wrap" ]; then
	calls_of
	is "a check opens no recording" "$(grep -E '(open|openat|openat2)\(' work | grep -c 'raw_[0-9a-f]*\.wav')" 0
	is "and makes one stat of each" "$(grep -cE '(stat|statx|newfstatat|fstatat64)\(.*raw_[0-9a-f]*\.wav' work)" "$scale"
	ok "and less than three calls for each, reading the database included" test "$(wc -l <work)" -lt $((3 * scale + 3000))
	calls_of --fixity all
	is "--fixity all opens each once" "$(grep -E '(open|openat|openat2)\(' work | grep -c 'raw_[0-9a-f]*\.wav')" "$scale"
	ok "and makes less than twenty calls for each" test "$(wc -l <work)" -lt $((20 * scale + 2000))
	rm calls work
else
	skip "a check makes one stat of each" "needs strace, and nothing around the tools"
fi
done_testing
