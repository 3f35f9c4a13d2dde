/* chunk: the layout of RIFF, RF64, W64 and AIFF files, honest and not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunk.h"
#include "mem.h"

static struct buf b;
static struct chunk_layout l;
static struct err e;

static void
setup(void)
{
	buf_clear(&b);
	l = (struct chunk_layout){.fmt = -1, .data = -1};
}

static void
teardown(void)
{
	chunk_layout_free(&l);
	buf_free(&b);
}

static void
num(uint64_t v, int bytes, bool big)
{
	for (int i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)(v >> (8 * (big ? bytes - 1 - i : i)));

		ck_assert_int_eq(buf_add(&b, &c, 1, &e), 0);
	}
}

static void
text(const char *s)
{
	ck_assert_int_eq(buf_adds(&b, s, &e), 0);
}

/* n bytes that look like loud samples: no byte is zero or printable. */
static void
samples(size_t n)
{
	for (size_t i = 0; i < n; i++)
		num(0x80 + i * 37 % 0x7f, 1, false);
}

static void
zeros(size_t n)
{
	for (size_t i = 0; i < n; i++)
		num(0, 1, false);
}

static void
fmt16(unsigned channels, unsigned bits)
{
	text("fmt ");
	num(16, 4, false);
	num(1, 2, false);
	num(channels, 2, false);
	num(48000, 4, false);
	num(48000 * channels * bits / 8, 4, false);
	num(channels * bits / 8, 2, false);
	num(bits, 2, false);
}

/* RIFF, fmt and the header of data with these sizes; samples follow. */
static void
wav(uint64_t riff, uint64_t data)
{
	text("RIFF");
	num(riff, 4, false);
	text("WAVE");
	fmt16(2, 16);
	text("data");
	num(data, 4, false);
}

static int
layout(void)
{
	char name[] = "/tmp/check_chunk.XXXXXX";
	int fd = mkstemp(name), r;

	ck_assert_int_ne(fd, -1);
	unlink(name);
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	r = chunk_layout(fd, b.len, &l, &e);
	close(fd);
	return r;
}

static void
assert_clean(void)
{
	ck_assert(!l.truncated && !l.open_header && !l.short_header && !l.outer_mismatch &&
		  !l.duplicate_fmt);
}

START_TEST(an_honest_wav_is_clean)
{
	wav(36 + 400, 400);
	samples(400);
	ck_assert_int_eq(layout(), 1);
	assert_clean();
	ck_assert_str_eq(l.container, "wav");
	ck_assert_uint_eq(l.block_align, 4);
	ck_assert_uint_eq(l.audio_offset, 44);
	ck_assert_uint_eq(l.audio_size, 400);
	ck_assert_uint_eq(l.n_chunks, 2);
}
END_TEST

START_TEST(text_and_other_riffs_are_not_ours)
{
	text("RIFF1234AVI LIST and so on, and on, and on, and on");
	ck_assert_int_eq(layout(), 0);
	buf_clear(&b);
	text("RIFF");
	ck_assert_int_eq(layout(), 0);
}
END_TEST

START_TEST(placeholder_sizes_are_open_headers)
{
	static const uint32_t sizes[][2] = {{0, 0}, {36, 0}, {0xffffffff, 0xffffffff},
	    {0x80000024, 0x80000000}, {0x7ffff024, 0x7ffff000}, {0xffffffbf, 0xffffff9b}};
	size_t i = (size_t)_i;

	wav(sizes[i][0], sizes[i][1]);
	samples(1000);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.open_header && !l.truncated);
	ck_assert_uint_eq(l.audio_size, 1000);
}
END_TEST

START_TEST(a_cut_file_is_truncated_not_open)
{
	wav(36 + 69630, 69630);
	samples(41760);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.truncated && !l.open_header);
	ck_assert_uint_eq(l.audio_declared, 69630);
	ck_assert_uint_eq(l.audio_size, 41760);
}
END_TEST

START_TEST(audio_behind_a_stale_size_is_found)
{
	wav(36 + 400, 400);
	samples(4000);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.short_header);
	ck_assert_uint_eq(l.audio_declared, 400);
	ck_assert_uint_eq(l.audio_size, 4000);
}
END_TEST

START_TEST(chunks_tags_and_padding_behind_the_audio_are_no_audio)
{
	wav(36 + 401 + 1 + 12, 401);
	samples(401);
	zeros(1);
	text("LIST");
	num(4, 4, false);
	text("INFO");
	if (_i == 1) {
		text("TAG");
		samples(125);
	} else if (_i == 2) {
		zeros(5000);
	}
	ck_assert_int_eq(layout(), 1);
	ck_assert(!l.short_header && !l.truncated && !l.open_header);
	ck_assert_uint_eq(l.audio_size, 401);
	ck_assert_uint_eq(l.n_chunks, 3);
	ck_assert_uint_eq(l.junk_size, _i == 0 ? 0 : _i == 1 ? 128 : 5000);
}
END_TEST

START_TEST(a_missing_pad_byte_is_forgiven)
{
	wav(36 + 401 + 12, 401);
	samples(401);
	text("LIST");
	num(4, 4, false);
	text("INFO");
	ck_assert_int_eq(layout(), 1);
	assert_clean();
	ck_assert_uint_eq(l.n_chunks, 3);
}
END_TEST

START_TEST(an_empty_data_chunk_before_others_is_empty_not_open)
{
	wav(36 + 12, 0);
	text("LIST");
	num(4, 4, false);
	text("INFO");
	ck_assert_int_eq(layout(), 1);
	assert_clean();
	ck_assert_uint_eq(l.audio_size, 0);
}
END_TEST

START_TEST(a_second_fmt_chunk_is_reported)
{
	text("RIFF");
	num(1000, 4, false);
	text("WAVE");
	fmt16(2, 16);
	fmt16(2, 16);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.duplicate_fmt);
}
END_TEST

START_TEST(a_file_cut_in_a_later_chunk_keeps_its_audio)
{
	wav(36 + 400 + 108, 400);
	samples(400);
	text("LIST");
	num(100, 4, false);
	text("INFO");
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.truncated);
	ck_assert_uint_eq(l.audio_size, l.audio_declared);
}
END_TEST

START_TEST(rf64_takes_its_sizes_from_ds64)
{
	bool open = _i == 1;

	text("RF64");
	num(0xffffffff, 4, false);
	text("WAVEds64");
	num(28, 4, false);
	num(open ? 0 : 72 + 400, 8, false);
	num(open ? 0 : 400, 8, false);
	num(0, 8, false);
	num(0, 4, false);
	fmt16(2, 16);
	text("data");
	num(0xffffffff, 4, false);
	samples(400);
	ck_assert_int_eq(layout(), 1);
	ck_assert_str_eq(l.container, "rf64");
	ck_assert_int_eq(l.open_header, open);
	ck_assert(!l.truncated);
	ck_assert_uint_eq(l.audio_size, 400);
}
END_TEST

START_TEST(w64_sizes_count_their_headers)
{
	static const unsigned char tail[12] = {
	    0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0x00, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a};

	ck_assert_int_eq(
	    buf_add(&b, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", 16, &e), 0);
	num(40 + 40 + 24 + 400, 8, false);
	text("wave");
	buf_add(&b, tail, sizeof tail, &e);
	text("fmt ");
	buf_add(&b, tail, sizeof tail, &e);
	num(40, 8, false);
	num(1, 2, false);
	num(2, 2, false);
	num(48000, 4, false);
	num(192000, 4, false);
	num(4, 2, false);
	num(16, 2, false);
	text("data");
	buf_add(&b, tail, sizeof tail, &e);
	num(_i == 1 ? 24 : 424, 8, false);
	samples(400);
	ck_assert_int_eq(layout(), 1);
	ck_assert_str_eq(l.container, "w64");
	ck_assert_int_eq(l.open_header, _i == 1);
	ck_assert_uint_eq(l.audio_size, 400);
	ck_assert_uint_eq(l.block_align, 4);
}
END_TEST

static void
aiff(uint64_t form, uint64_t frames, uint64_t ssnd)
{
	text("FORM");
	num(form, 4, true);
	text("AIFFCOMM");
	num(18, 4, true);
	num(2, 2, true);
	num(frames, 4, true);
	num(16, 2, true);
	num(0x400eac4400000000, 8, true);
	num(0, 2, true);
	text("SSND");
	num(ssnd, 4, true);
	zeros(8);
}

START_TEST(aiff_is_measured_by_its_ssnd_chunk)
{
	aiff(46 + 400, 100, 408);
	samples(400);
	ck_assert_int_eq(layout(), 1);
	assert_clean();
	ck_assert_str_eq(l.container, "aiff");
	ck_assert_uint_eq(l.audio_offset, 54);
	ck_assert_uint_eq(l.audio_size, 400);
}
END_TEST

START_TEST(an_unfinished_aiff_is_an_open_header)
{
	aiff(0, 0, _i == 0 ? 0 : 8);
	samples(400);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.open_header);
	ck_assert_uint_eq(l.audio_size, 400);
}
END_TEST

START_TEST(an_aiff_whose_counts_disagree_says_so)
{
	aiff(46 + 4000, 10, 4008);
	samples(4000);
	ck_assert_int_eq(layout(), 1);
	ck_assert(l.outer_mismatch);
	ck_assert_uint_eq(l.audio_size, 4000);
}
END_TEST

START_TEST(any_bytes_come_to_an_end)
{
	unsigned seed = (unsigned)_i;

	wav(36 + 400, 400);
	samples(400);
	for (int i = 0; i < 30; i++)
		b.data[4 + rand_r(&seed) % 80] = (char)rand_r(&seed);
	b.len = 8 + (size_t)rand_r(&seed) % (b.len - 8);
	ck_assert_int_ge(layout(), 0);
	ck_assert(l.audio_size == 0 || l.audio_offset + l.audio_size <= b.len);
	for (unsigned i = 0; i < l.n_chunks; i++)
		ck_assert(l.chunks[i].offset + l.chunks[i].size <= b.len);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("chunk");
	TCase *t = tcase_create("layout");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_honest_wav_is_clean);
	tcase_add_test(t, text_and_other_riffs_are_not_ours);
	tcase_add_loop_test(t, placeholder_sizes_are_open_headers, 0, 6);
	tcase_add_test(t, a_cut_file_is_truncated_not_open);
	tcase_add_test(t, audio_behind_a_stale_size_is_found);
	tcase_add_loop_test(t, chunks_tags_and_padding_behind_the_audio_are_no_audio, 0, 3);
	tcase_add_test(t, a_missing_pad_byte_is_forgiven);
	tcase_add_test(t, an_empty_data_chunk_before_others_is_empty_not_open);
	tcase_add_test(t, a_second_fmt_chunk_is_reported);
	tcase_add_test(t, a_file_cut_in_a_later_chunk_keeps_its_audio);
	tcase_add_loop_test(t, rf64_takes_its_sizes_from_ds64, 0, 2);
	tcase_add_loop_test(t, w64_sizes_count_their_headers, 0, 2);
	tcase_add_test(t, aiff_is_measured_by_its_ssnd_chunk);
	tcase_add_loop_test(t, an_unfinished_aiff_is_an_open_header, 0, 2);
	tcase_add_test(t, an_aiff_whose_counts_disagree_says_so);
	tcase_add_loop_test(t, any_bytes_come_to_an_end, 0, 500);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
