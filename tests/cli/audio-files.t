#!/bin/bash
# Every file of ../shared/audio: no crash, no hang, bounded memory, and the frames that decode or the right
# problem. What is right was found by hand with ffmpeg, flac -t, sox and a hex dump.
. "$(dirname "$0")/../lib.sh"

have_shared audio || plan_skip "no ../shared/audio"
for tool in jq sha256sum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
cd "$SHARED/audio" || exit 1

# problem|frames|judge|file. The judge is the program that counts the same frames; "none" where others count
# wrongly or not at all:
#	Pmiscck, Poffset, Ptjunk: COMM says 9, behind an offset of 5; ffmpeg counts offset and padding too
#	8kmp38.wav: 187 whole MPEG frames of 72 bytes in 13,514; ffmpeg counts the cut one
#	bad-first-samplerate.mp3: 8 whole frames behind junk; the ninth is cut
#	01 wrong max blocksize: flac -t passes with these; ffmpeg gives up
#	03 wrong bit depth: flac decodes frames of 16 bits and says ERROR: the header says 24
#	04 wrong number of channels: flac -t fails at the first frame
#	06 missing streaminfo: flac -t decodes 69,743 samples; libsndfile needs the block
#	broken.phobosstream.opus: a page is broken at 0.14 s; libsndfile stops there, ffmpeg goes on
table()
{
	cat <<'END'
ok|31364|ffmpeg|debian/002.wav
ok|24611|ffmpeg|debian/003.wav
ok|100076|ffmpeg|debian/Mallet.ogg
ok|45086|ffmpeg|debian/RD2_02.aiff
ok|210286|ffmpeg|debian/Sam's Song.ogg
ok|88064|ffmpeg|debian/a1.ogg
ok|13967|ffmpeg|debian/agent-loginok.wav
ok|5998|ffmpeg|debian/audio-volume-change.wav
ok|24064|ffmpeg|debian/bu.ogg
ok|16146|ffmpeg|debian/chess_move.wav
ok|24397|ffmpeg|debian/ft_03.flac
not_audio|null|-|debian/goforward.raw
ok|68676|ffmpeg|debian/lya.ogg
ok|8227|ffmpeg|debian/mon-11.wav
ok|6966|ffmpeg|debian/p-m.wav
ok|17288|ffmpeg|debian/screen-capture-complete.wav
ok|30324|ffmpeg|debian/send.wav
ok|27729|ffmpeg|debian/t2_03.flac
ok|62080|ffmpeg|debian/vm-review.gsm
ok|240239|ffmpeg|field-recorders/A101_1_1.WAV
ok|144140|ffmpeg|field-recorders/PT A101_4.A1.wav
ok|99510|ffmpeg|field-recorders/alarm_citizen_loop1.wav
ok|45859|ffmpeg|field-recorders/new_camera bumb 1.wav
ok|48000|ffmpeg|field-recorders/wavinfo Test Project - Audio - Mono.wav
ok|101999|soxi|flac-test-files/01 - wrong max blocksize.flac
ok|195891|ffmpeg|flac-test-files/02 - wrong maximum framesize.flac
decode_error|89903|soxi|flac-test-files/03 - wrong bit depth.flac
decode_error|0|sox|flac-test-files/04 - wrong number of channels.flac
decode_error|null|-|flac-test-files/06 - missing streaminfo metadata block.flac
ok|106031|soxi|flac-test-files/07 - other metadata blocks preceding streaminfo metadata block.flac
ok|119279|ffmpeg|flac-test-files/10 - invalid vorbis comment metadata block.flac
decode_error|null|-|flac-test-files/11 - incorrect metadata block length.flac
ok|107712|none|odd/8kmp38.wav
decode_error|null|-|odd/CVE-2007-4619-12.flac
decode_error|null|-|odd/CWE-835-01.aiff
ok|23493|ffmpeg|odd/M1F1-AlawC-AFsp.aif
ok|9|none|odd/Pmiscck.aif
ok|9|none|odd/Poffset.aif
ok|9|none|odd/Ptjunk.aif
header_mismatch|476|ffmpeg|odd/aiff-id3-bad-chunksize.aif
ok|476|ffmpeg|odd/aiff32.aiff
ok|4410|ffmpeg|odd/alaw.wav
truncated|9216|none|odd/bad-first-samplerate.mp3
decode_error|6720|none|odd/broken.phobosstream.opus
decode_error|33456|ffmpeg|odd/bug1155-1.ogg
truncated|484|ffmpeg|odd/bug14462-wav-fmt.wav
truncated|248832|sox|odd/compl.mp3
decode_error|null|-|odd/crash-24728523ef4be15c838293b676f6853e73723bf4.wav
decode_error|null|-|odd/crash-cbd757427cea12bd8a21f86cd8cf74d98ce56bee.wav
decode_error|null|-|odd/crash-e879de4eb4d206c59e21f0e01def16457af80fdc.wav
truncated|27648|ffmpeg|odd/empty.flac
zero_tail|162496|soxi|odd/equals-char.ogg
header_mismatch|27648|ffmpeg|odd/ffmpeg-missing-chunksize.wav
truncated|502|ffmpeg|odd/gh2-wav32-bad-duration.wav
truncated|96768|ffmpeg|odd/id3tagged.flac
ok|576|soxi|odd/issue-453.mp3
header_mismatch|2478|ffmpeg|odd/issue-819.wav
ok|253440|ffmpeg|odd/last-page.oga
truncated|0|ffmpeg|odd/md5.flac
ok|5760|ffmpeg|odd/mpeglayer3.wav
truncated|270616|ffmpeg|odd/no-last-page.oga
ok|8640|ffmpeg|odd/no-tags-mp2.5l3.mp3
ok|46080|ffmpeg|odd/no-tags-vbri-mono.mp3
ok|2|ffmpeg|odd/nonstandard-02.wav
ok|4|ffmpeg|odd/pcmwaveformat-16bit-44100Hz-mono-extra.wav
ok|2|ffmpeg|odd/pcmwaveformat-24bit-4byte-48kHz-stereo.wav
ok|100|ffmpeg|odd/pop.wav
ok|32000|ffmpeg|odd/silence-2s-16000 [no-tags].CBR-128.mp3
ok|50156|ffmpeg|odd/test-1-mono.opus
ok|220500|ffmpeg|odd/test-unknown-duration.flac
ok|44975|ffmpeg|odd/tiny.flac
empty|null|-|odd/v2.3-no-audio-frames.mp3
truncated|3456|ffmpeg|odd/v2.4-corrupt-frame.mp3
ok|34560|ffmpeg|odd/v2.4-utf16be.mp3
ok|476|ffmpeg|odd/wav32-info-nulls.wav
ok|4|ffmpeg|odd/waveformatex-16bit-44100Hz-mono.wav
header_mismatch|4|ffmpeg|odd/waveformatex-8bit-11025Hz-mono.wav
ok|4|ffmpeg|odd/waveformatextensible-24bit-192kHz-mono.wav
ok|2|ffmpeg|odd/waveformatextensible-32bit-48kHz-stereo.wav
unsupported|null|-|odd/zero-first-block.wv
END
}

ulimited=
if bash -c 'ulimit -v 524288; rec-meta -V' >/dev/null 2>&1; then
	ulimited='ulimit -v 524288;'
else
	skip "512 MB are enough" "the tools do not run with a limit of memory here"
fi

is "the table names each file" "$(table | cut -d '|' -f 4 | LC_ALL=C sort)" "$(find . -type f -printf '%P\n' | LC_ALL=C sort)"
table >"$TMP/table"
while IFS='|' read -r code frames judge file; do
	run timeout -k 1 5 bash -c "$ulimited"' exec rec-meta probe -- "$1"' - "$file"
	status "$file: ends well" "$([ "$code" = ok ] && echo 0 || echo 1)"
	jq_is "$file: its problem, and the frames that decode" '"\(.problem.code // "ok") \(.frames)"' "$code $frames"
	is "$file: hashes and size are of the file as it is" "$(jq -r '"\(.sha256) \(.size_bytes)"' "$out")" \
	    "$(sha256sum <"$file" | cut -c -64) $(stat -c %s "$file")"
	ok "$file: the duration is that of the frames" jq -e \
	    'if .frames == null then .duration_s == null else (.frames / .sample_rate_hz - .duration_s | fabs) <= 0.000001 end' "$out"
	ok "$file: only what is audio has an audio format" jq -e \
	    'if .problem.code == "not_audio" then .container == null and .codec == null else .container != null end' "$out"
	cp "$out" "$TMP/whole"
	case $judge in
	ffmpeg)
		if command -v ffmpeg >/dev/null; then
			is "$file: the frames are ffmpeg's" "$(jq '.frames * .channels * 2' "$TMP/whole")" \
			    "$(ffmpeg -nostdin -v quiet -i "$file" -map 0:a:0 -f s16le - | wc -c)"
		else
			skip "$file: the frames are ffmpeg's" "needs ffmpeg"
		fi
		;;
	soxi)
		if command -v soxi >/dev/null; then
			is "$file: the frames are soxi's" "$(jq .frames "$TMP/whole")" "$(soxi -s "$file")"
		else
			skip "$file: the frames are soxi's" "needs soxi"
		fi
		;;
	esac
	run timeout -k 1 5 bash -c "$ulimited"' exec rec-meta probe -q --quick -- "$1"' - "$file"
	ok "$file: --quick ends, with a record" test "$st" -le 1 -a "$(jq -r .path "$out")" = "$file"
	is "$file: --quick sees no audio where there is none" \
	    "$(jq -r '.problem.code // "" | IN("not_audio", "unsupported")' "$out")" \
	    "$(jq -r '.problem.code // "" | IN("not_audio", "unsupported")' "$TMP/whole")"
done <"$TMP/table"

run timeout 60 rec-meta probe -q -j4 */*
is "all at once in the order of the operands" "$(jq -r .path "$out")" "$(printf '%s\n' */*)"
is "with the same results" "$(jq -r '"\(.problem.code // "ok")|\(.frames)|\(.path)"' "$out" | LC_ALL=C sort)" \
    "$(cut -d '|' -f 1,2,4 "$TMP/table" | LC_ALL=C sort)"

# Cut anywhere, no file crashes the tool or takes long; what remains is what is measured.
mkdir "$TMP/cut"
for file in debian/RD2_02.aiff debian/t2_03.flac debian/bu.ogg debian/003.wav odd/test-1-mono.opus odd/no-tags-mp2.5l3.mp3 odd/tiny.flac; do
	size=$(stat -c %s "$file")
	for at in 0 1 3 4 11 12 20 36 43 44 45 58 100 $((size / 3)) $((size / 2)) $((size - 1)); do
		head -c "$at" "$file" >"$TMP/cut/$at.${file##*/}"
	done
done
cd "$TMP/cut" || exit 1
run timeout 120 bash -c "$ulimited"' exec rec-meta probe -q *'
status "files cut anywhere are no reason to stop" 1
is "each has a record" "$(jq -s length "$out")" "$(ls | wc -l)"
is "none of the empty ones is said to be audio" "$(jq -r 'select(.size_bytes == 0) | .problem.code' "$out" | sort -u)" empty
is "a WAV that lost a byte is truncated" "$(jq -r 'select(.path == "49265.003.wav") | "\(.problem.code) \(.frames)"' "$out")" "truncated 24610"
is "no file that was cut in the middle passes for whole" \
    "$(jq -r 'select(.size_bytes > 2000 and (.path | test("[.](wav|aiff|flac|ogg|opus)$")) and .problem == null) | .path' "$out")" ""
cd "$TMP" || exit 1
done_testing
