#!/bin/bash
# What happens while rec-trim works: INT and TERM half-way, and a recording that somebody else writes to or
# replaces at each moment of its being cut in place. That one is then a problem and left as somebody else made it;
# or it was done before; and no byte of either is lost.
. "$(dirname "$0")/fault.sh"
need_shim

# await CONDITION...: for 30 s
await()
{
	local i

	for ((i = 0; i < 3000; i++)); do
		"$@" && return
		sleep 0.01
	done
	return 1
}

# ---- signals

make_archive "$A" 0002
fresh
take begin "$W"
# Without a pattern, so that no frame of FLAC is small.
sox -R -D -n -r 48000 -b 16 -c 2 -C 0 "$W/recordings/raw/large.flac" synth 100 whitenoise 2>/dev/null
sqlite3 -init /dev/null "$W/db/app.db" "INSERT INTO recordings (id, filename, stored_filename) VALUES (20, 'Large', 'large.flac')"
run rec-migrate -C "$W" -q apply
take old "$W"

half_way()
{
	[ -n "$(find "$W/recordings" -name '.rec-*.tmp' -size +200k -print -quit)" ] || ! kill -0 "$tool" 2>/dev/null
}

for sig in INT TERM; do
	for how in "" --in-place; do
		# shellcheck disable=SC2086
		env --default-signal=INT,TERM rec-trim -C "$W" -q $how --fade-in=1 -s 1 recordings/raw/large.flac \
		    >"$out" 2>"$errf" &
		tool=$!
		await half_way
		kill -$sig $tool 2>/dev/null
		{ wait $tool; } 2>/dev/null
		st=$?
		_command="rec-trim $how, SIG$sig"
		status "a cut ${how:-into the archive} dies of SIG$sig" $((128 + $(kill -l $sig)))
		stderr_empty "and says nothing"
		is "and leaves nothing" "$(find "$W" -name '*.tmp' -o -path '*/edited/*' -o -path '*/backup/*')" ""
		take now "$W"
		ok "and no row or file is another" cmp "$S/now.db" "$S/old.db"
		is "nor a recording" "$(grep recordings/ "$S/now.files")" "$(grep recordings/ "$S/old.files")"
	done
done

# ---- somebody else's hand

rm -rf "$A"
make_archive "$A" 0002
run rec-migrate -C "$A" -q apply
fresh
take old "$W"
name=$W/recordings/raw/one.wav
command=(rec-trim -C "$W" -q --in-place --start=80f --length=200f recordings/raw/one.wav)
fault FAULT_COUNT="$TMP/count" "${command[@]}"
calls=$(<"$TMP/count")
original=$(sha256sum <"$A/recordings/raw/one.wav")
_tone "$TMP/theirs.wav" 0.05 990

is_stopped()
{
	local text

	read -r text <"/proc/$tool/stat" && [[ $text == *') T '* ]]
}

# The same size, one byte another: only the time tells.
write_to()
{
	printf X | dd of="$name" bs=1 seek=300 conv=notrunc status=none
}

replace()
{
	cp "$TMP/theirs.wav" "$name.other"
	mv "$name.other" "$name"
}

# samples FILE FIRST FRAMES
samples()
{
	sox -D "$1" -t raw -L -e signed -b 16 - 2>/dev/null | tail -c +$(($2 * 2 + 1)) | head -c $(($3 * 2))
}

# at CALL HAND
at()
{
	local what="$2 before call $1" before theirs sum now announced

	fresh
	LD_PRELOAD=$SHIM FAULT_MODE=stop FAULT_AT=$1 exec_to "${command[@]}" &
	tool=$!
	await is_stopped || broken "$what: it does not stop"
	before=$(sha256sum <"$name")
	# Between the look at a file and the rename over it lie no long calls, but some: what is put there then is lost.
	if [ "$2" = replace ] && [ "$before" = "$original" ] && [ -e "$W/recordings/backup/one.wav" ]; then
		kill -CONT $tool
		wait $tool
		window=$((window + 1))
		return
	fi
	cat "$W"/db/journal/*.jsonl | grep -q '"action":"replace"' && announced=1 || announced=0
	"$2"
	theirs=$(sha256sum <"$name")
	kill -CONT $tool
	wait $tool
	st=$?
	_command="${command[*]}, $what"
	states=$((states + 1))
	take now "$W"
	grep -q "^${theirs%% *}" "$S/now.files" || broken "$what: what they wrote is lost"
	if [ "$st" = 1 ]; then
		told=$((told + 1))
		[ "$(jq -r .problem.code "$out")" = modified ] || broken "$what: it is another problem"
		same now.text old.text || broken "$what: a problem, and a row was changed"
		[ "$(sha256sum <"$name")" = "$theirs" ] || broken "$what: a problem, and the file is not theirs"
		[ -z "$(find "$W" -path '*/backup/*')" ] || broken "$what: a problem, and a file in backup"
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$what: the rollback fails"
		[ "$(sha256sum <"$name")" = "$theirs" ] || broken "$what: the rollback touches the file"
	elif [ "$st" = 0 ]; then
		# It was done before, or with what they had made of it.
		sum=$(sqlite3 -init /dev/null "$S/copy" 'SELECT sha256 FROM rec_measurements WHERE recording_id = 1')
		now=$(sha256sum <"$name")
		[[ $sum = "${now%% *}" || $now = "$theirs" ]] || broken "$what: done, and the row tells of another file"
		[ "$announced" = 1 ] || cmp -s <(samples "$W/recordings/backup/one.wav" 80 200) <(samples "$name" 0 100000) ||
		    broken "$what: done, and it is no cut of the file in backup"
		[ "$before" = "$original" ] || grep -q "^${original%% *}" "$S/now.files" || broken "$what: the original is lost"
	else
		broken "$what: status $st"
	fi
	[ -z "$(find "$W" -name '*.tmp')" ] || broken "$what: leaves a temporary file"
}

exec_to()
{
	exec "$@" >"$out" 2>"$errf"
}

told=0
window=0
step=$(full && echo 1 || echo 2)
for ((n = 1; n <= calls; n += step)); do
	at "$n" write_to
	at $((n + step / 2 < calls ? n + step / 2 : calls)) replace
done
echo "# of these it told $told of a modified file; at $window calls a replacement was not tried"
ok "the calls between the last look and the rename are few" [ "$window" -le 5 ]
ok "a modified file was told" [ "$told" -gt 3 ]
report "a recording modified while it is cut in place"
done_testing
