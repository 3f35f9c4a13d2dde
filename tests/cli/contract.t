#!/bin/bash
# What every tool does the same way: options, items in and records out, exit status, signals.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

hex()
{
	od -An -v -tx1 | tr -d ' \n'
}

sox -R -n -r 8000 -b 16 a.wav synth 0.2 sine 440 2>/dev/null || plan_skip "sox cannot synthesize"
root=$TMP/archive
db=$root/db/app.db
mkdir -p "$root/db" "$root/recordings/raw"
sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
sql "$db" "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
	sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
	PRIMARY KEY (id), UNIQUE (stored_filename))"
names=("a.wav" $'new\nline.wav' $'bad\xff\xfe.wav' "-dash.wav" "--help" "{brace}.wav" '{"path":"x"}.wav' ' space ' $'tab\t.wav' "ünï.wav" '"quote".wav' "'; drop.wav" "%s%n" '*' '\')
i=0
for name in "${names[@]}"; do
	i=$((i + 1))
	cp a.wav "$root/recordings/raw/$name"
	sql "$db" "INSERT INTO recordings (id, filename, stored_filename, duration) VALUES ($i, '$i', CAST(x'$(printf %s "$name" | hex)' AS TEXT), 0)"
done
count=$i
cp -a "$root" pristine

META='probe add list show set rm refresh'
MIGRATE='status plan apply verify rollback runs'
HEALTH='check repair gc config'

# await CMD...: until it succeeds, for a minute at most.
await()
{
	local i

	for ((i = 0; i < 3000; i++)); do
		"$@" && return
		sleep 0.02
	done
}

# ---- options
for tool in rec-meta rec-migrate rec-health; do
	quiet_ok "$tool -h" $tool -h
	ok "$tool -h shows every command" grep -q "usage: $tool " "$out"
	quiet_ok "$tool --help" $tool --help
	quiet_ok "$tool -V" $tool -V
	ok "$tool -V is its name and version" grep -qE "^$tool \(rectools\) [0-9]+\.[0-9]+" "$out"
	commands=$META
	[ $tool = rec-migrate ] && commands=$MIGRATE
	[ $tool = rec-health ] && commands=$HEALTH
	for command in $commands; do
		quiet_ok "$tool $command -h" $tool $command -h
	done
done
wrong()
{
	run "$@"
	status "${*:0:8}: a usage error" 2
	is "${*:0:8}: in one line, on stderr alone" "$(wc -l <"$errf") $(wc -c <"$out")" "1 0"
	stderr_has "${*:0:8}: that names the tool" "^$1: ."
}
for tool in rec-meta rec-migrate rec-health; do
	# Without a command rec-health checks.
	[ $tool = rec-health ] || wrong $tool
	wrong $tool nothing
	wrong $tool ''
	for option in -x --nothing --jobs --jobs=0 --jobs=-1 --jobs=x --jobs=1025 --jobs= -j -jx '-j 1x' --output --output=xml -o -ox --output= --env \
	    --env=prod --env=Production --env= -E --progress --progress=maybe --shard --shard=1 --shard=0/0 --shard=4/3 --shard=-1/3 \
	    --shard=1/ --shard=/3 --shard=1/3/4 --shard=1/2x --quiet=yes --dry-run=1 --help=1 -C --root; do
		case $option in
		--*=* | -*\ * | -?? | -x | --nothing) wrong $tool "${MIGRATE%% *}" "$option" ;;
		*) wrong $tool "${MIGRATE%% *}" $option ;;
		esac
	done
done
wrong rec-meta probe --title=x a.wav
wrong rec-meta list --quick
wrong rec-meta add --purge a.wav
wrong rec-meta show --where=1 1
wrong rec-meta set --all 1 title=x
wrong rec-meta rm --move 1
wrong rec-meta refresh --quick 1
wrong rec-migrate plan --metrics=x
wrong rec-migrate apply --quick
wrong rec-migrate verify --reread
wrong rec-migrate rollback --true-peak
wrong rec-migrate runs --force
wrong rec-migrate -C "$root" status x
wrong rec-migrate -C "$root" plan x
wrong rec-migrate -C "$root" apply x
wrong rec-migrate -C "$root" apply - -
wrong rec-migrate -C "$root" verify 1
wrong rec-migrate -C "$root" runs 1
wrong rec-migrate -C "$root" rollback a b
wrong rec-migrate -C "$root" rollback x
wrong rec-meta -C "$root" list x
wrong rec-health check --apply
wrong rec-health repair --html=x
wrong rec-health gc --undo
wrong rec-health config --fixity=all
wrong rec-health -C "$root" check x
wrong rec-health -C "$root" repair x
wrong rec-health -C "$root" gc x
wrong rec-health -C "$root" config x

# ---- root and settings
run rec-meta -C "$TMP/nowhere" list
status "a root that is not there" 3
stderr_has "is named" '/nowhere: '
run env REC_ROOT="$root" rec-meta list
status "REC_ROOT names the root" 0
is "with all its rows" "$(jq -s length "$out")" "$count"
run env REC_ROOT="$TMP/nowhere" rec-meta -C "$root" list
status "-C comes before REC_ROOT" 0
run env -C "$root" REC_ROOT= rec-meta list
status "an empty REC_ROOT is none" 0
run rec-meta -C "$root" probe recordings/raw/a.wav
status "paths are relative to the root" 0
run env REC_ROOT="$root" rec-meta probe a.wav
jq_is "also with REC_ROOT" .problem.code missing
setting()
{
	local name=$1 key=$2 source=$3 command

	shift 3
	for command in "rec-migrate -C $root status" "rec-health -C $root check" "rec-health -C $root config"; do
		run "$@" $command
		status "$name, ${command##* }: status 3" 3
		is "$name, ${command##* }: one line" "$(wc -l <"$errf")" 1
		stderr_has "$name, ${command##* }: names $key" "$key"
		stderr_has "$name, ${command##* }: and where it is from" "$source"
	done
}
setting "a bad environment" APP_ENVIRONMENT 'environment variable.*development.*testing.*production' env APP_ENVIRONMENT=staging
setting "a bad number" RECORDINGS_MAX_SIZE_MB 'environment variable' env RECORDINGS_MAX_SIZE_MB=-5
setting "a bad database" DATABASE_URL 'environment variable' env DATABASE_URL=postgres://x
printf '# comment\n\nAPP_ENVIRONMENT=Production\n' >"$root/.env"
setting "a bad environment in .env" APP_ENVIRONMENT '\.env.*3' env
printf 'REC_DB_RETRIES=many\n' >"$root/.env"
setting "a bad number in .env" REC_DB_RETRIES '\.env.*1' env
printf 'A=1\nthis is no setting\n' >"$root/.env"
setting "a line that is none in .env" 'line 2' '\.env' env
printf 'AUDIO_FORMAT=\xff\n' >"$root/.env"
setting "a value of bad bytes in .env" AUDIO_FORMAT '\.env' env
printf 'LOG_LEVEL=LOUD\n' >"$root/.env"
setting "a bad log level in .env" LOG_LEVEL 'DEBUG.*CRITICAL' env
printf 'SOMETHING_ELSE=1\nexport LOG_LEVEL="INFO" # fine\r\n' >"$root/.env"
run rec-migrate -C "$root" status
status "keys of others are ignored" 0
rm "$root/.env"
run rec-migrate -C "$root" -E testing status
is "-E chooses the environment's folders" "$st $(grep -c recordings_test "$errf")" "3 1"
run env APP_ENVIRONMENT=testing rec-migrate -C "$root" -E production status
status "an option comes before the environment" 0

# ---- names of any bytes
rec-meta -C "$root" list -o path0 >paths0
is "path0 gives the bytes" "$(tr '\0' '|' <paths0 | hex)" "$(printf 'recordings/raw/%s|' "${names[@]}" | hex)"
run_in paths0 rec-meta -C "$root" probe -0
status "probe -0 takes them" 0
is "valid UTF-8 comes out as path, the other as path_hex" "$(jq -r 'if has("path") then .path else .path_hex end' "$out" | sed -n '1,2p;3,4p')" \
    "$(printf 'recordings/raw/a.wav\nrecordings/raw/new\nline.wav\n%s' "$(printf 'recordings/raw/bad\xff\xfe.wav' | hex)")"
is "none has both, all are measured" "$(jq -c '[has("path") != has("path_hex"), .problem, .frames]' "$out" | sort -u)" "[true,null,1600]"
cp "$out" records
run_in records rec-migrate -C "$root" apply -
status "apply - takes the records" 0
is "one for one, in order" "$(jq -c .id "$out" | tr '\n' ' ')" "$(seq -s ' ' "$count") "
is "and every row is complete" "$(rec-migrate -q -C "$root" verify | jq -c '[.rows, .complete]')" "[$count,$count]"
run rec-meta -C "$root" list
is "list gives the same names" "$(jq -c '.path // .path_hex' "$out")" "$(jq -c '.path // .path_hex' records)"
cp "$out" listed
run_in listed rec-meta -C "$root" show
is "show takes list's records" "$(jq -c .id "$out" | tr '\n' ' ')" "$(seq -s ' ' "$count") "
run_in paths0 rec-meta -C "$root" show -0
is "show -0 takes the names" "$(jq -c .id "$out" | tr '\n' ' ')" "$(seq -s ' ' "$count") "
run_in paths0 rec-meta -C "$root" rm -n -0
is "so does rm" "$(jq -c .id "$out" | tr '\n' ' ')" "$(seq -s ' ' "$count") "
run rec-migrate -C "$root" rollback
is "rollback names them" "$(jq -c '.path // .path_hex' "$out" | sort)" "$(jq -c '.path // .path_hex' records | sort)"
run bash -c 'rec-migrate -C "$1" plan | rec-meta -C "$1" probe -j3 | rec-migrate -C "$1" apply - | rec-meta -C "$1" show' - "$root"
is "plan | probe | apply - | show: all of them" "$(jq -c '[.id, (.path // .path_hex)]' "$out" | sort)" "$(jq -c '[input_line_number, (.path // .path_hex)]' records | sort)"
cd "$root/recordings/raw" || exit 1
run rec-meta probe -- -dash.wav --help ./{brace}.wav './{"path":"x"}.wav' ' space ' -
is "as operands, behind --" "$st $(jq -r .path "$out" | tr '\n' '|')" '0 -dash.wav|--help|./{brace}.wav|./{"path":"x"}.wav| space |'
printf '%s\n' "-dash.wav" "./{brace}.wav" ' space ' '' 'a.wav' >"$TMP/lines"
run_in "$TMP/lines" rec-meta probe
is "as lines" "$st $(jq -r .path "$out" | tr '\n' '|')" '0 -dash.wav|./{brace}.wav| space |a.wav|'
printf 'a.wav' >"$TMP/lines"
run_in "$TMP/lines" rec-meta probe
is "the last line needs no newline" "$(jq -r .path "$out")" a.wav
run_in "$TMP/lines" rec-meta probe -- -dash.wav - ' space '
is "- among the operands is stdin" "$(jq -r .path "$out" | tr '\n' '|')" "-dash.wav|a.wav| space |"
run rec-meta probe -o path -- -dash.wav './{brace}.wav'
cp "$out" "$TMP/lines"
run_in "$TMP/lines" rec-meta probe
is "what -o path prints can be read again" "$(jq -r .path "$out" | tr '\n' '|')" "-dash.wav|./{brace}.wav|"
cd "$TMP" || exit 1
stderr_empty "no name is told of without need"
run rec-meta probe $'gone\n\x1b[31m\xff.wav'
is "a name on stderr cannot break its line or the terminal" "$(wc -l <"$errf") $(grep -cP '[^\x20-\x7e]' "$errf")" "1 0"

# ---- records through a stage
cat >foreign <<'END'
{"path":"a.wav","zero":0,"minus":-1,"tenth":0.1,"big":1e100,"small":5e-324,"max":9223372036854775807,"min":-9223372036854775808,"one":1.0,"third":0.3333333333333333,"t":true,"f":false,"n":null}
{"path":"a.wav","text":"é 🎙  \"\\/\b\f\n\r\t","nul":"a\u0000b","control":"\u0001\u001f","del":"","empty":"","key with \"quotes\"":1,"":2,"ключ":3}
{"path":"a.wav","nested":{"a":[1,[2,[3,{"b":[]}]],{}],"path":"other","problem":{"code":"x"}},"problems":1,"problem":null}
{"path":"missing.wav","mine":[{"deep":{"er":0.1}}]}
END
run_in foreign rec-meta probe
status "foreign keys" 1
own='del(.size_bytes, .mtime, .container, .codec, .mime_type, .sample_rate_hz, .channels, .bits_per_sample, .frames, .duration_s, .bit_rate_bps, .xxh3_128, .sha256, .audio_xxh3_128, .peak_dbfs, .true_peak_dbtp, .rms_dbfs, .loudness_lufs, .loudness_range_lu, .clipped_frames, .leading_silence_s, .trailing_silence_s, .quality, .tags, .prober, .problem)'
is "pass through a stage as they came" "$(jq -cS "$own" "$out")" "$(jq -cS "$own" foreign)"
for text in '"tenth":0.1,' '"max":9223372036854775807,' '"min":-9223372036854775808,' '"third":0.3333333333333333,' '"nul":"a\u0000b"' '"one":1.0,' '"zero":0,' \
    '"minus":-1,'; do
	is "to the letter: $text" "$(grep -cF -- "$text" "$out")" 1
done
echo '{"path":"a.wav","huge":12345678901234567890,"huger":[-123456789012345678901234567890]}' >huge
run_in huge rec-meta probe
is "numbers that fit no machine word pass too" "$st $(grep -cF '"huge":12345678901234567890,"huger":[-123456789012345678901234567890]' "$out")" "0 1"
echo '{"path":"a.wav","huge":1e999,"forged":"\u0001number:12","\u0001number:1":"1e999"}' >forged
run_in forged rec-meta probe
is "a string that looks like the mark of such a number stays a string" "$(jq -rc '[.forged, .["\u0001number:1"]]' "$out")" '["\u0001number:12","1e999"]'
{
	echo '{"path":"a.wav","problem":{"code":"decode_error","message":"m","more":[1,2]},"frames":"odd","z":1}'
	echo '{"problem":{"code":"nonsense"},"no":"path"}'
	echo '{"path":"missing.wav","problem":"text"}'
	echo '{"path_hex":"zz","problem":{}}'
} >problems
run_in problems rec-meta probe
status "records that came with a problem make the status 1" 1
is "and pass untouched" "$(cat "$out")" "$(cat problems)"
stderr_empty "nothing is said of them again"
run_in problems rec-meta -C "$root" show
is "also through show" "$st $(cat "$out")" "1 $(cat problems)"
run_in problems rec-meta -C "$root" rm
is "also through rm" "$st $(cat "$out")" "1 $(cat problems)"
run_in problems rec-meta -C "$root" add
is "also through add" "$st $(cat "$out")" "1 $(cat problems)"
run_in problems rec-meta -C "$root" refresh
is "also through refresh" "$st $(head -n 4 "$out")" "1 $(cat problems)"
{
	echo '{"path":"recordings/raw/a.wav","mine":1,"id":1}'
	echo '{"id":2,"path":"recordings/raw/a.wav"}'
	echo '{"id":999,"path":"recordings/raw/a.wav"}'
	echo '{"path":"recordings/raw/nothing.wav"}'
	echo '{"id":3}'
	echo '{"id":4,"path":"recordings/raw/-dash.wav","problem":{"code":"truncated","message":"says another stage"}}'
	echo '{"id":5,"path":"recordings/raw/elsewhere","problem":{"code":"missing","message":"says another stage"}}'
} >mixed
run_in mixed rec-migrate -C "$root" apply -
status "apply - of records that do not fit" 1
is "one for one: those that name no row are bad_record" "$(head -n 7 "$out" | jq -c '[.id, .mine, .problem.code]')" '[1,1,null]
[2,null,"bad_record"]
[999,null,"bad_record"]
[null,null,"bad_record"]
[3,null,"bad_record"]
[4,null,null]
[5,null,"missing"]'
is "what came with a problem and fits no row goes out untouched" "$(sed -n 7p "$out")" "$(sed -n 7p mixed)"
{
	printf '{"path":"a.wav"\n'
	printf '{}\n'
	printf '{"path":5}\n'
	printf '{"path":""}\n'
	printf '{"path":"a\\u0000b"}\n'
	printf '{"path_hex":"xyz"}\n'
	printf '{"path_hex":"61"}\n'
	printf '{"path":"a.wav"} trailing\n'
	printf '{"path":"\xff"}\n'
	printf '{"path":"a.wav","path":"b.wav"}\n'
	printf 'a\0b\n'
	printf '{'
	head -c 20000 /dev/zero | tr '\0' '['
	printf '\na.wav\n'
} >bad
run_in bad timeout 20 rec-meta probe
status "lines that are no records" 1
is "are bad_record each, and do not stop the rest" "$(jq -r '.problem.code' "$out" | tr '\n' ' ')" \
    "bad_record bad_record bad_record bad_record bad_record bad_record missing bad_record bad_record bad_record bad_record bad_record null "
stderr_has "their line is named" 'line 1[^0-9].*'

# ---- names of any bytes in findings
mv "$root/recordings/raw" "$root/recordings/whole"
mkdir "$root/recordings/raw"
cp -p "$root/recordings/whole/a.wav" "$root/recordings/raw/"
run rec-health -C "$root" --only completeness -o path0
is "rec-health names every file that is gone, by its bytes" "$(tr '\0' '|' <"$out" | hex)" "$(printf 'recordings/raw/%s|' "${names[@]:1}" | hex)"
is "each on one line of stderr" "$(wc -l <"$errf") $(LC_ALL=C grep -cP '[^\x20-\x7e]' "$errf")" "$((count - 1)) $(printf '%s\n' "${names[@]:1}" | grep -c ünï)"
run rec-health -C "$root" --only completeness
is "valid UTF-8 as path, the other as path_hex" "$(jq -c 'select(.id) | has("path") != has("path_hex")' "$out" | sort | uniq -c | tr -s ' ')" " $((count - 1)) true"
rm -r "$root/recordings/raw"
mv "$root/recordings/whole" "$root/recordings/raw"

# ---- one in, one out, in order
mkfifo pipe
mkdir folder
: >empty
ln -s nowhere dangling
ln -s loop loop
for i in $(seq 40); do
	printf '%s\n' a.wav "missing$i" folder /dev/null pipe empty  dangling loop
done >many
run_in many timeout 60 rec-meta probe -j8
status "failing items among good ones, -j8" 1
is "one record for each, in order" "$(jq -r .path "$out")" "$(cat many)"
is "each with its own problem" "$(jq -r '.problem.code // "ok"' "$out" | paste -d ' ' - - - - - - - - | sort | uniq -c | sed 's/^ *//')" \
    "40 ok missing unsupported unsupported unsupported empty missing unsafe_path"
is "a line on stderr for each problem" "$(wc -l <"$errf")" 280
run_in many timeout 60 rec-meta probe -j1
cp "$out" one
run_in many timeout 60 rec-meta probe -j7
is "the same with any number of threads" "$(cmp one "$out" && echo same)" same
run_in many rec-meta probe -q
stderr_empty "-q silences what is said of items"
is "and changes nothing else" "$st $(cmp one "$out" && echo same)" "1 same"
for n in 1 2 3 7; do
	for i in $(seq $n); do
		rec-meta probe -q --shard "$i/$n" <many >"part.$i"
	done
	is "--shard I/$n: together they are all" "$(for i in $(seq $n); do cat "part.$i"; done | sort)" "$(sort one)"
	is "--shard I/$n: a path is in one alone" "$(for i in $(seq $n); do jq -r .path "part.$i" | sort -u; done | sort | uniq -d)" ""
done
rec-migrate -C "$root" rollback >/dev/null 2>&1
for i in 1 2 3; do
	rec-migrate -C "$root" plan --shard "$i/3" | jq .id
done >ids
is "plan --shard: each row once" "$(sort -n ids)" "$(seq "$count")"
for i in 1 2 3; do
	is "shard $i of plan is shard $i of probe" "$(rec-migrate -C "$root" plan --shard $i/3 | rec-meta -C "$root" probe --shard $i/3 | jq .id)" "$(rec-migrate -C "$root" plan --shard $i/3 | jq .id)"
done
if bash -c 'ulimit -v 400000; rec-meta -V' >/dev/null 2>&1; then
	seq -f '/nonexistent/%.0f.wav' 200000 >paths
	run_in paths bash -c 'ulimit -v 400000; exec rec-meta probe -q'
	is "200,000 paths in bounded memory" "$st $(wc -l <"$out") $(tail -n 1 "$out" | jq -r .path)" "1 200000 /nonexistent/200000.wav"
	head -c 400000000 /dev/zero | tr '\0' x >long
	run_in long bash -c 'ulimit -v 400000; exec rec-meta probe -q'
	status "a line without end is refused" 3
	rm long paths
else
	skip "200,000 paths in bounded memory" "the tools do not run with a limit of memory here"
fi

# ---- output that cannot be written
rec-migrate -q -C "$root" apply >/dev/null
cp -a "$root" applied
reset_to()
{
	rm -rf "$root" && cp -a "$1" "$root"
}
cannot_write()
{
	local state=$1

	shift
	reset_to "$state"
	run bash -c '"$@" >/dev/full' - "$@"
	status "${*//$TMP/}: into a full disk" 3
	stderr_has "${*//$TMP/}: into a full disk, says so" 'standard output: No space left on device'
	reset_to "$state"
	run bash -c '"$@" >&-' - "$@"
	status "${*//$TMP/}: into a closed stdout" 3
	reset_to "$state"
	# The reader is gone before the tool starts.
	run gone "$@"
	is "${*//$TMP/}: into a closed pipe dies of it, quietly" "$st $(cat "$errf")" "141 "
}
# gone CMD...: its stdout is a pipe that nobody reads.
gone()
{
	local fifo=$TMP/gone.pipe

	rm -f "$fifo"
	mkfifo "$fifo"
	exec 7<>"$fifo" 6>"$fifo"
	exec 7<&-
	"$@" >&6 6>&-
}
for command in "rec-meta -h" "rec-meta -V" "rec-migrate -h" "rec-migrate -V" "rec-health -h" "rec-health -V" "rec-meta probe a.wav" "rec-meta -C $root list" "rec-meta -C $root list -o table" \
    "rec-meta -C $root list -o path0" "rec-meta -C $root show 1" "rec-meta -C $root set 1 title=x" "rec-meta -C $root rm 2" \
    "rec-meta -C $root add $TMP/a.wav --allow-duplicates" "rec-meta -C $root refresh 1" \
    "rec-migrate -C $root status" "rec-migrate -C $root verify" "rec-migrate -C $root runs" \
    "rec-health -C $root" "rec-health -C $root check -o table" "rec-health -C $root check --fixity all" "rec-health config" "rec-migrate -q -C $root rollback"; do
	cannot_write applied $command
done
for command in "rec-migrate -C $root plan" "rec-migrate -C $root apply"; do
	cannot_write pristine $command
done
rec-migrate -q -C "$root" apply >/dev/null
is "what could not be printed is not half done" "$(rec-migrate -q -C "$root" verify | jq -c 'select(.rows) | .rows == .complete')" true
run bash -c 'set -o pipefail; rec-meta probe -q - <many | head -n 1'
is "a pipe that closes early is quiet" "$(jq -r .path "$out") $(cat "$errf")" "a.wav "
for i in $(seq 20); do
	cat many
done >manymany
run bash -c 'set -o pipefail; rec-meta probe -q - <manymany | head -n 1'
is "also when much is left, and the tool dies of it" "$st $(jq -r .path "$out") $(cat "$errf")" "141 a.wav "

# A tool whose reader has gone ends by itself, also when no more input comes.
mkfifo feed
for where in pipe full; do
	if [ $where = pipe ]; then
		(
			{ timeout 60 rec-meta probe -q; echo $? >ended; } <feed 2>said | :
		) &
	else
		{ timeout 60 rec-meta probe -q >/dev/full; echo $? >ended; } <feed 2>said &
	fi
	tool=$!
	exec 8>feed
	echo a.wav >&8
	wait $tool
	exec 8>&-
	st=$(cat ended)
	cp said "$errf"
	if [ $where = pipe ]; then
		status "a tool ends when its reader has gone, though its input is open" 141
		stderr_empty "quietly"
	else
		status "and when the disk is full" 3
		stderr_has "with the reason" 'standard output: No space left on device'
	fi
done

# ---- signals
# A command that waits for input, once it has shown its first record, gets the signal.
for sig in INT TERM HUP; do
	for command in "rec-meta probe" "rec-meta -C $root show" "rec-migrate -C $root apply -"; do
		rm -f shown
		if [ "${command%% *}" = rec-migrate ]; then
			first=recordings/raw/a.wav
		elif [ "$command" = "rec-meta probe" ]; then
			first=a.wav
		else
			first=1
		fi
		env --default-signal=INT,TERM,HUP $command <feed >shown 2>said &
		tool=$!
		exec 8>feed
		echo $first >&8
		await test -s shown
		kill -$sig $tool
		{ wait $tool; } 2>/dev/null
		st=$?
		exec 8>&-
		_command="$command, SIG$sig"
		cp said "$errf"
		status "${command//$TMP/} dies of SIG$sig" $((128 + $(kill -l $sig)))
		stderr_empty "${command//$TMP/} says nothing of SIG$sig"
		ok "${command//$TMP/} shows whole records only" jq -e .path shown
	done
done
run rec-migrate -q -C "$root" verify
status "the archive is as it was" 0
run env --ignore-signal=INT bash -c 'rec-meta probe a.wav'
status "a signal that was ignored is no matter" 0

# ---- progress
run_in many rec-meta probe --progress=always -q
is "--progress=always leaves stdout alone" "$(cmp one "$out" && echo same)" same
mkfifo slow
env rec-meta probe --progress=always <slow >shown 2>said &
tool=$!
exec 8>slow
feed_until_drawn()
{
	echo a.wav >&8
	grep -q MiB said
}
await feed_until_drawn
exec 8>&-
wait $tool
ok "it is drawn on stderr" grep -qE 'rec-meta: [0-9]+ .*MiB/s' said
ok "stdout has records alone" jq -e .path shown
run_in many rec-meta probe --progress=never
is "--progress=never draws none" "$(grep -c MiB "$errf")" 0
run_in many rec-meta probe
is "nor does auto without a terminal" "$(grep -c MiB "$errf")" 0
done_testing
