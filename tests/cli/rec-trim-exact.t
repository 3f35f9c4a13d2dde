#!/bin/bash
# rec-trim, to the frame: what sox (or ffmpeg, of what sox does not read) decodes of each cut are the frames that were
# asked for and no others, in every format of PCM and in FLAC; the parts of a split joined again are the original.
#
#	REC_FAULT=full    2,000 cuts rather than 200
. "$(dirname "$0")/../lib.sh"

for tool in jq sox ffmpeg flac; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

cuts=200
[ "${REC_FAULT:-}" = full ] && cuts=2000
RANDOM=20250729

# by_sox ENCODING BITS FILE, by_ffmpeg FORMAT - FILE: its samples
by_sox()
{
	sox -D "$3" -t raw -L -e "$1" -b "$2" - 2>/dev/null
}
by_ffmpeg()
{
	ffmpeg -v error -nostdin -i "$3" -map 0:a:0 -c:a "pcm_$1" -f data -
}

# source NAME RATE FRAMEBYTES DECODER: made by now
names=() decoders=() rates=() sizes=() counts=()
source_is()
{
	local name=$1

	shift 3
	"$@" "$name" >"$name.raw" || plan_skip "$name does not decode"
}
have()
{
	source_is "$@"
	names+=("$1") rates+=("$2") sizes+=("$3")
	shift 3
	decoders+=("$*")
	counts+=("$(($(stat -c %s "${names[-1]}.raw") / sizes[-1]))")
}

# noise FILE RATE CHANNELS SOX-OPTION...: 2 seconds that fill every bit
noise()
{
	local file=$1 rate=$2 channels=$3

	shift 3
	sox -R -D -n -r "$rate" -c "$channels" "$@" "$file" synth 2 whitenoise 2>/dev/null ||
	    plan_skip "sox cannot make $file"
}

convert()
{
	ffmpeg -v error -nostdin -i "$@" || plan_skip "ffmpeg cannot make ${*: -1}"
}

noise u8.wav 11025 1 -e unsigned -b 8
noise s16.wav 44100 2 -b 16
noise s16x8.wav 48000 8 -b 16
noise s24.wav 48000 1 -b 24
noise s24x3.wav 96000 3 -b 24
noise s32.wav 48000 2 -b 32
noise f32.wav 44100 2 -e floating-point -b 32
noise f64x5.wav 22050 5 -e floating-point -b 64
noise s8.aiff 22050 1 -b 8
noise s16.aiff 44100 2 -b 16
noise s24x6.aiff 48000 6 -b 24
convert s32.wav -c:a pcm_s64le s64.wav
convert s24.wav -c:a pcm_s24le -rf64 always s24.rf64.wav
convert s16.wav -c:a pcm_s16le -f w64 s16.w64
convert f32.wav -c:a pcm_f32le -f w64 f32.w64
convert s16.wav -c:a pcm_s16be -f aiff sowt.aiff
flac --silent -o s16.flac s16.wav
flac --silent --channel-map=none -o s16x8.flac s16x8.wav 2>/dev/null
flac --silent -8 --channel-map=none -o s24x3.flac s24x3.wav
flac --silent -0 --blocksize=333 --lax -o s24.flac s24.wav 2>/dev/null || flac --silent -o s24.flac s24.wav

have u8.wav 11025 1 by_sox unsigned 8
have s16.wav 44100 4 by_sox signed 16
have s16x8.wav 48000 16 by_sox signed 16
have s24.wav 48000 3 by_sox signed 24
have s24x3.wav 96000 9 by_sox signed 24
have s32.wav 48000 8 by_sox signed 32
have f32.wav 44100 8 by_sox floating-point 32
have f64x5.wav 22050 40 by_sox floating-point 64
have s8.aiff 22050 1 by_sox signed 8
have s16.aiff 44100 4 by_sox signed 16
have s24x6.aiff 48000 18 by_sox signed 24
have s64.wav 48000 16 by_ffmpeg s64le -
have s24.rf64.wav 48000 3 by_ffmpeg s24le -
have s16.w64 44100 4 by_ffmpeg s16le -
have f32.w64 44100 8 by_ffmpeg f32le -
have sowt.aiff 44100 4 by_sox signed 16
have s16.flac 44100 4 by_sox signed 16
have s16x8.flac 48000 16 by_sox signed 16
have s24x3.flac 96000 9 by_sox signed 24
have s24.flac 48000 3 by_sox signed 24

# ---- random cuts, as an edit list: each under a name of its own
mkdir in cut
: >plan
for ((i = 0; i < cuts; i++)); do
	f=$((i % ${#names[@]}))
	n=${counts[f]}
	first=$(((RANDOM * 32768 + RANDOM) % n))
	frames=$(((RANDOM * 32768 + RANDOM) % (n - first) + 1))
	case $((RANDOM % 10)) in
	0) frames=1 ;;
	1) first=0 frames=$((frames > n ? n : frames)) ;;
	2) frames=$((n - first)) ;;
	esac
	name=c$i.${names[f]}
	ln -s "../${names[f]}" "in/$name"
	printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$f" $first $frames "${rates[f]}" >>plan
done
jq -R -c 'split("\t") | {path: ("in/" + .[0]), start_s: ((.[2] | tonumber) / (.[4] | tonumber)),
    end_s: (((.[2] | tonumber) + (.[3] | tonumber)) / (.[4] | tonumber)), cut: .[0]}' plan >edits
run_in edits rec-trim -O cut/
status "$cuts cuts, made by one process" 0
stderr_empty "and nothing is wrong with them"
is "a record for each, in order, with its own keys" "$(jq -r .cut "$out" | sha256sum)" "$(cut -f 1 plan | sha256sum)"
is "each says which frames it is made of" \
    "$(jq -r '[.sources[0].start_frame, .sources[0].frames] | @tsv' "$out" | sha256sum)" "$(cut -f 3,4 plan | sha256sum)"
is "and how many it has" "$(jq -r .frames "$out" | sha256sum)" "$(cut -f 4 plan | sha256sum)"

# differ_in_cut: the first cut of the plan that is not what it should be; also how many were compared
differ_in_cut()
{
	local name f first frames rate compared=0

	while IFS=$'\t' read -r name f first frames rate; do
		if ! cmp -s <(${decoders[f]} "cut/$name") \
		    <(tail -c +$((first * sizes[f] + 1)) "${names[f]}.raw" | head -c $((frames * sizes[f]))); then
			echo "$name: frames $first + $frames"
			return
		fi
		compared=$((compared + 1))
	done <plan
	echo "$compared"
}
is "every cut decodes to its frames, and to nothing else" "$(differ_in_cut)" "$cuts"

# The same by what people use today, where that reads the file.
by_trim()
{
	local name f first frames rate compared=0

	while IFS=$'\t' read -r name f first frames rate; do
		[[ ${decoders[f]} = by_sox* ]] || continue
		set -- ${decoders[f]}
		if ! cmp -s <(by_sox "$2" "$3" "cut/$name") \
		    <(sox -D "${names[f]}" -t raw -L -e "$2" -b "$3" - trim ${first}s ="$((first + frames))s" 2>/dev/null); then
			echo "$name: frames $first + $frames"
			return
		fi
		compared=$((compared + 1))
		[ $compared = 50 ] && break
	done < <(tail -n 80 plan)
	echo $compared
}
is "sox trim makes the same of them" "$(by_trim)" 50
is "flac -t agrees with each" "$(flac -t -s cut/*.flac 2>&1 | head -n 3)" ""

# ---- the options say the same as a record
for f in 1 4 11 14 10 18; do
	name=${names[f]} n=${counts[f]} k=$((n / 3 + 1))
	run rec-trim -q -s ${k}f -d 777f -O one.$name "$name"
	ok "$name: --start and --length in frames" cmp <(${decoders[f]} one.$name) \
	    <(tail -c +$((k * sizes[f] + 1)) "$name.raw" | head -c $((777 * sizes[f])))
	run rec-trim -q -s -${k}f -e -5f -O end.$name "$name"
	ok "$name: counted from the end" cmp <(${decoders[f]} end.$name) \
	    <(tail -c $((k * sizes[f])) "$name.raw" | head -c $(((k - 5) * sizes[f])))
done

# ---- split and joined
mkdir parts
for ((f = 0; f < ${#names[@]}; f++)); do
	name=${names[f]}
	run rec-trim -q --split every=0.137 -O parts/ "$name"
	if [ $st != 0 ]; then
		status "$name splits" 0
		continue
	fi
	cp "$out" made
	run_in made rec-trim -q --join -O joined."$name"
	status "$name: $(find parts -name "${name%.*}_part*.${name##*.}" | wc -l) parts are joined" 0
	if [[ $name = s64* ]]; then # which rec-meta does not measure
		ok "$name: the same audio as before" cmp <(${decoders[f]} joined."$name") "$name.raw"
	else
		is "$name: the same audio as before" "$(rec-meta -q probe joined."$name" | jq -r .audio_xxh3_128)" \
		    "$(rec-meta -q probe "$name" | jq -r .audio_xxh3_128)"
	fi
	rm -f parts/*
done

done_testing
