#!/bin/bash
# What rec-capture does by itself while it records: parts at pauses and at the clock, only around sound, until a
# time; what it tells; a device that comes back; the meter.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox script; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
RATE=8000
root=$TMP/archive
"$TOP/tests/data/make-archive" "$root" >/dev/null
sqlite3 "$root/db/app.db" "DELETE FROM recordings"
rm -f "$root"/recordings/raw/*
temp=$root/recordings_dev/temp

# tone SECONDS | quiet SECONDS | zeros SECONDS | loud SECONDS: samples. quiet is noise at -66 dBFS.
tone()
{
	sox -R -D -n -r $RATE -c 1 -t raw -e signed -b 16 - synth "$1" sine 400 gain -6
}
quiet()
{
	sox -R -D -n -r $RATE -c 1 -t raw -e signed -b 16 - synth "$1" whitenoise gain -66
}
zeros()
{
	head -c "$(awk -v s="$1" -v r=$RATE 'BEGIN { print s * r * 2 }')" /dev/zero
}
loud()
{
	sox -R -D -n -r $RATE -c 1 -t raw -e signed -b 16 - synth "$1" square 400 gain 6 2>/dev/null
}

# capture FEED ARG...: sets $st $out $errf
capture()
{
	local feed=$1

	shift
	run_in "$feed" timeout 30 rec-capture -C "$root" -q --events --raw s16le -r $RATE -c 1 "$@" -
}

samples()
{
	local path

	while read -r path; do
		sox -D "$root/$path" -t raw -L -e signed -b 16 -
	done < <(jq -r .path "$out")
}

# events NAME FILTER: of each event of the last run
events()
{
	grep '^{' "$errf" | jq -c "select(.event == \"$1\") | $2" | tr '\n' ' '
}

{ quiet 3; tone 1; quiet 4; tone 0.5; quiet 0.4; tone 0.5; quiet 5; } >in.raw

# ---- pauses
capture in.raw --split-silence
status "--split-silence: status" 0
is "a part ends 2 s into each pause behind sound" "$(jq .frames "$out" | tr '\n' ' ')" "48000 43200 24000 "
ok "joined they are what was fed" cmp <(samples) in.raw
capture in.raw --split-silence=0.3 --threshold -80
is "with a threshold below everything there is no pause" "$(jq .frames "$out" | tr '\n' ' ')" "115200 "
capture in.raw --split-silence=300ms --split-time 5
is "time and pauses together" "$(jq .frames "$out" | tr '\n' ' ')" "34400 36000 7200 37600 "

# ---- voice activation
capture in.raw --voice
status "--voice: status" 0
is "each sound is a recording, with pre-roll and hang time" "$(jq .frames "$out" | tr '\n' ' ')" "$((5 * RATE)) $((RATE * 54 / 10)) "
ok "its samples are those around the sound" cmp <(samples) <(tail -c +$((2 * 2 * RATE + 1)) in.raw | head -c $((5 * 2 * RATE)); tail -c +$((7 * 2 * RATE + 1)) in.raw | head -c $((2 * RATE * 54 / 10)))
is "voice tells the first frame of it" "$(events voice .frame)" "16000 56000 "
is "quiet tells its end" "$(events quiet .frame)" "56000 99200 "
start=$(jq -rs '.[0].started_at' "$out")
is "the starts are apart as the frames are" "$(jq -rs '[.[].started_at | sub("\\.[0-9]*Z"; "Z") | fromdate] | .[1] - .[0]' "$out")" 5
ok "started_at has microseconds" grep -qE '^20[0-9]{2}-.*T.*\.[0-9]{6}Z$' <<<"$start"
capture in.raw --voice --pre-roll 0 --hang 0.1
is "without pre-roll a sound is where it reaches the threshold" "$(jq -s length "$out")" 3
quiet 3 >still.raw
before=$(manifest "$root")
capture still.raw --voice
status "no sound: status 0" 0
is "no record" "$(wc -c <"$out")" 0
is "and nothing is left" "$(manifest "$root")" "$before"
capture in.raw --voice --threshold -3
is "what does not reach the threshold is no sound" "$(wc -c <"$out")" 0

# ---- the clock
capture in.raw --split-at minute
status "--split-at: status" 0
ok "joined they are what was fed" cmp <(samples) in.raw
ok "every part but the first starts at a full minute" jq -es 'all(.[1:][]; .started_at | test(":00\\.000"))' "$out"
now=$(date +%s)
mkfifo still
{ tone 0.5; sleep 20 & echo $! >sleeper; wait; } >still &
run_in still timeout 30 rec-capture -C "$root" -q --raw s16le -r $RATE -c 1 --until "$(date -u -d "@$((now + 2))" +%Y-%m-%dT%H:%M:%SZ)" -
kill "$(cat sleeper)"
status "--until ends it, though nothing comes: status" 0
ok "soon behind its time" test $(($(date +%s) - now)) -lt 12
capture in.raw --until "$(date -d '+2 seconds' +%H:%M:%S)"
ok "to the frame, by the time of the audio" jq -es 'length == 1 and .[0].frames < 3 * '$RATE "$out"
before=$(manifest "$root")
for wrong in "--until 2020-01-01T00:00:00Z=is over" "--until 25:00=such as 18:30" "--split-at week=goes into a day" \
    "--pre-roll 2=about --voice" "--voice --pre-roll 11m=in memory" "--threshold -20=about --voice or --split-silence" \
    "--voice --threshold 3=from -140 to 0" "--reconnect=cannot come back" "--split-silence=0=at least one frame"; do
	# shellcheck disable=SC2086 # several words
	capture in.raw ${wrong%=*}
	status "${wrong%=*}: status 2" 2
	stderr_has "${wrong%=*}: says why" "${wrong##*=}"
done
is "and nothing is left" "$(manifest "$root")" "$before"

# ---- what it hears
{ zeros 6; tone 1; loud 1.5; zeros 0.5; } >ill.raw
capture ill.raw
status "clipping and silence are no errors" 0
is "digital silence is told" "$(events digital_silence '[.channel, .frame]')" "[1,0] "
is "and its end" "$(events sound '[.channel, .frame]' | grep -c '^\[1,4800[01]\] $')" 1
is "clipping is told, gathered a second" "$(events clipping '[.channel, .samples > 100]')" "[1,true] [1,true] "
ok "levels are told" jq -es 'map(select(.event == "level")) | length > 0 and all(.[]; (.peak_dbfs | length) == 1 and has("rms_dbfs") and has("clipped") and has("left_s"))' <(grep '^{' "$errf")
is "stop says why" "$(events stop .why)" '"end" '
id=$(jq .id "$out")
run rec-meta -C "$root" -o json show "$id"
is "they stay with the recording" "$(jq -c '.provenance | [.tool != null, .source, .ended, [.events[].event]]' "$out")" '[true,"stdin","end",["digital_silence","sound","clipping","clipping"]]'

capture ill.raw --split-time 1.3
jq .id "$out" >ids
while read -r id; do
	rec-meta -C "$root" -o json show "$id"
done <ids >shown
is "in parts, each event is with its part" "$(jq -c '[.frames, [.provenance.events[] | [.event, .frame]]]' shown | grep -c clipping)" 2
ok "at a frame of it" jq -es 'all(.[]; .frames as $n | all(.provenance.events[]; .frame >= 0 and .frame < $n))' shown
is "silence that lasts since the part before has its start" "$(jq -c '.provenance.events[] | select(.event == "digital_silence") | .frame' shown)" 0

# ---- a device that comes back
plugin=$(realpath -m -- "${REC_BIN:-$TOP/build/bin}/../test/libasound_module_pcm_rectest.so")
if [ -r "$plugin" ] && [ -r /usr/share/alsa/alsa.conf ]; then
	cat >asound.conf <<-END
		</usr/share/alsa/alsa.conf>
		pcm_type.rectest { lib "$plugin" }
		pcm.shaky { type rectest file "$TMP/in.raw" rate $RATE channels 1 format S16_LE speed 4 lost_at 20000 gone "$TMP/gone" }
		pcm.fast { type rectest file "$TMP/in.raw" rate $RATE channels 1 format S16_LE speed 1.01 }
	END
	export ALSA_CONFIG_PATH=$TMP/asound.conf
	timeout 30 rec-capture -C "$root" --events -d shaky -r $RATE -c 1 -f wav --reconnect -t 4 >shaky.out 2>shaky.err &
	recorder=$!
	until [ -e gone ] || ! kill -0 $recorder 2>/dev/null; do
		sleep 0.05
	done
	sleep 0.3
	rm -f gone
	wait $recorder
	is "--reconnect: status" $? 0
	out=shaky.out errf=shaky.err
	is "what came before and behind are recordings" "$(jq .frames shaky.out | tr '\n' ' ')" "20000 12000 "
	ok "every bit of them" cmp <(samples) <(head -c 40000 in.raw; head -c 24000 in.raw)
	is "it is told" "$(events lost .frame)$(events reconnected .frame)$(events stop .why)" '20000 20000 "time" '
	ok "the second starts when it came back" jq -es '(.[0].started_at | sub("\\.[0-9]*Z"; "Z") | fromdate) < (.[1].started_at | sub("\\.[0-9]*Z"; "Z") | fromdate)' shaky.out
	rm -f gone
	rec-capture -C "$root" -q -d shaky -r $RATE -c 1 --reconnect >shaky.out 2>shaky.err &
	recorder=$!
	until [ -e gone ] || ! kill -0 $recorder 2>/dev/null; do
		sleep 0.05
	done
	kill -TERM $recorder
	wait $recorder
	is "a signal while it waits: status" $? 0
	is "what came is a recording" "$(jq .frames shaky.out)" 20000
	unset ALSA_CONFIG_PATH
else
	skip "a device that comes back" "no ALSA here, or the test device is not built"
fi

# ---- the meter
cat >feed <<-'END'
	head -c 16000 in.raw
	sleep 1
	head -c 16000 ill.raw
END
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
	LC_ALL=C.UTF-8 script -qec "stty cols 80; sh feed | rec-capture -C '$root' --raw s16le -r $RATE -c 1 -" typescript >/dev/null </dev/null
	ok "on a terminal there is a meter, with time and disk" grep -aqE '0:00:0[12] .*left [0-9]+:[0-9]{2}:[0-9]{2}' typescript
	ok "no line is longer than the terminal" awk 'BEGIN { RS = "\r" } / left / { gsub(/\033\[K.*/, ""); if (length($0) > 80) bad = 1 } END { exit bad }' <(iconv -f UTF-8 -t ASCII//TRANSLIT typescript)
	is "with -q there is none" "$(LC_ALL=C.UTF-8 script -qec "sh feed | rec-capture -C '$root' -q --raw s16le -r $RATE -c 1 - >/dev/null" typescript </dev/null | wc -c)" 0
else
	skip "the meter" "no pseudo-terminals here"
fi

is "nothing is left in temp" "$(ls -A "$temp")" ""
quiet_ok "and verify is content" rec-migrate -q -C "$root" verify
done_testing
