#!/bin/bash
# Recording from a device that is scripted (tests/data/testdev.c): paced, with an overrun, lost.
. "$(dirname "$0")/../lib.sh"

plugin=$(realpath -m -- "${REC_BIN:-$TOP/build/bin}/../test/libasound_module_pcm_rectest.so")
[ -r "$plugin" ] && [ -r /usr/share/alsa/alsa.conf ] || plan_skip "no ALSA here, or the test device is not built"
rate=48000
sox -R -D -n -r $rate -c 2 -t raw -e signed -b 16 in.raw synth 4 whitenoise 2>/dev/null || plan_skip "sox cannot synthesize"
cat >asound.conf <<END
</usr/share/alsa/alsa.conf>
pcm_type.rectest { lib "$plugin" }
pcm.free { type rectest file "$TMP/in.raw" rate $rate channels 2 format S16_LE lost_at 150000 }
pcm.paced { type rectest file "$TMP/in.raw" rate $rate channels 2 format S16_LE speed 1 }
pcm.over { type rectest file "$TMP/in.raw" rate $rate channels 2 format S16_LE speed 1 overrun_at 48000 overrun_frames 4800 }
pcm.short { type rectest file "$TMP/in.raw" rate $rate channels 2 format S16_LE speed 4 }
pcm.lost { type rectest file "$TMP/in.raw" rate $rate channels 2 format S16_LE speed 2 lost_at 100000 }
END
export ALSA_CONFIG_PATH=$TMP/asound.conf
root=$TMP/archive
"$TOP/tests/data/make-archive" "$root" >/dev/null
sqlite3 "$root/db/app.db" "DELETE FROM recordings"
rm -f "$root"/recordings/raw/*
temp=$root/recordings_dev/temp

# capture ARG...: sets $st $out $errf
capture()
{
	run timeout 30 rec-capture -C "$root" -q --events -r $rate -c 2 "$@"
}

# samples: of the recordings that the last run printed, one behind the other
samples()
{
	local path

	while read -r path; do
		sox -D "$root/$path" -t raw -L -e signed -b 16 -
	done < <(jq -r .path "$out")
}

# events NAME: how many
events()
{
	grep '^{' "$errf" | jq -s "map(select(.event == \"$1\")) | length"
}

for format in wav w64 flac; do
	capture -d paced -t 2 -f $format
	status "$format, paced: status" 0
	ok "$format, paced: every bit" cmp <(samples) <(head -c $((2 * rate * 4)) in.raw)
	is "$format, paced: no overrun" "$(events overrun)" 0
done
capture -d paced -t 2 --split-time 0.7
is "in parts" "$(jq .frames "$out" | tr '\n' ' ')" "33600 33600 28800 "
ok "joined they are what the device gave" cmp <(samples) <(head -c $((2 * rate * 4)) in.raw)

capture -d over -t 2
status "an overrun: status" 0
is "it is told once, with its place" "$(grep '^{' "$errf" | jq -c 'select(.event == "overrun") | .frame')" 48000
ok "its length is told to a hundredth of a second" jq -es 'any(.event == "overrun" and .frames > 4300 and .frames < 5300)' <(grep '^{' "$errf")
ok "what is before and behind it is there" cmp <(samples) <(head -c $((rate * 4)) in.raw; tail -c +$((52800 * 4 + 1)) in.raw | head -c $((rate * 4)))
capture -d over -t 2 --fill
gap=$(grep '^{' "$errf" | jq -r 'select(.event == "overrun") | .frames')
ok "--fill puts silence there" cmp <(samples) <({ head -c $((rate * 4)) in.raw; head -c $((gap * 4)) /dev/zero; tail -c +$((52800 * 4 + 1)) in.raw; } | head -c $((2 * rate * 4)))

for device in lost:100000 free:150000; do
	capture -d "${device%:*}" -t 10
	status "a device that is lost ($device): status 3" 3
	is "it is an event" "$(events lost)" 1
	is "what came is a recording" "$(jq -c '[.frames, .problem]' "$out")" "[${device#*:},null]"
	ok "every bit of it" cmp <(samples) <(head -c $((${device#*:} * 4)) in.raw)
done

capture -d short -t 4
status "a device that gives nothing more than -t asks for: status" 0
ok "every bit" cmp <(samples) in.raw

before=$(manifest "$root")
for wrong in "-r 44100" "-c 1"; do
	# shellcheck disable=SC2086 # two words
	run timeout 20 rec-capture -C "$root" -q -r $rate -c 2 -t 1 -d paced $wrong
	status "what the device does not do ($wrong): status 3" 3
	stderr_has "$wrong: what it does is listed" 'has rates in Hz: 48000; channels: 2; formats: s16le'
done
is "and nothing is left" "$(manifest "$root")" "$before"

for signal in INT TERM HUP; do
	env --default-signal=INT,TERM,HUP rec-capture -C "$root" -q -r $rate -c 2 -d paced -t 20 >signalled 2>/dev/null &
	recorder=$!
	until [ -n "$(find "$temp" -name '*.part' -size +50k)" ] || ! kill -0 $recorder 2>/dev/null; do
		sleep 0.05
	done
	kill -$signal $recorder
	wait $recorder
	is "$signal ends it properly" "$? $(jq -c '[.frames > 0, .problem]' signalled)" "0 [true,null]"
done
is "nothing is left in temp" "$(ls -A "$temp")" ""
quiet_ok "and verify is content" rec-migrate -q -C "$root" verify
done_testing
