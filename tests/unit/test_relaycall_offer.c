// SPDX-License-Identifier: BSD-3-Clause
// What relaycall shows and uses of a peer's words: names that stay in their folder, and nothing
// that commands a terminal, reads backwards, or is no text to a JSON reader.
#include "endpoint/relaycall/offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void assert_name(const char *sent, const char *want)
{
	uint8_t bytes[OFFER_HEADER + OFFER_NAME_MAX];
	struct offer offer = {.kind = OFFER_FILE, .size = 7}, back;
	snprintf(offer.name, sizeof(offer.name), "%s", sent);
	assert_true(offer_parse(bytes, offer_build(bytes, &offer), &back));
	assert_string_equal(back.name, want);
	assert_int_equal(back.size, 7);
}

static void names_stay_in_their_folder(void **state)
{
	(void)state;
	assert_name("report.pdf", "report.pdf");
	assert_name("../../etc/passwd", "___.._etc_passwd");
	assert_name("/etc/passwd", "_etc_passwd");
	assert_name("..\\x", "___x");
	assert_name(".", "_");
	assert_name("..", "__");
	assert_name(".bashrc", "_bashrc");
	assert_name("", "file");
	assert_name("a\nb\tc\x7f", "a?b?c?");
}

static void assert_shown(const char *sent, const char *want)
{
	char text[64];
	snprintf(text, sizeof(text), "%s", sent);
	offer_printable(text, true);
	assert_string_equal(text, want);
}

static void text_commands_no_terminal(void **state)
{
	(void)state;
	assert_shown("two\n\tlines", "two\n\tlines");
	assert_shown("\x1b[2Jx\r\a", "?[2Jx??");
	// C1 controls, as UTF-8 and as one byte.
	assert_shown("\xc2\x9b"
		     "2J",
		"??2J");
	assert_shown("\x9b"
		     "2J",
		"?2J");
	// What turns the direction of reading: "fdp.exe" shown as "exe.pdf".
	assert_shown("\xe2\x80\xae"
		     "fdp.exe",
		"???fdp.exe");
	assert_shown("a\xe2\x81\xa6z", "a???z");
	// Letters of all lengths stay.
	assert_shown(
		"\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x8e\xb5", "\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x8e\xb5");
	// No UTF-8: broken off, too long for what it says, halves of UTF-16, above Unicode.
	assert_shown("a\xe4\xbd", "a??");
	assert_shown("\xc0\xaf", "??");
	assert_shown("\xe0\x80\xaf", "???");
	assert_shown("\xc0\x8a", "??"); // a newline, in two bytes
	assert_shown("\xed\xa0\x80", "???");
	assert_shown("\xf4\x90\x80\x80", "????");
	assert_shown("\xff\xfe", "??");
}

static void others_are_no_offers(void **state)
{
	(void)state;
	uint8_t bytes[OFFER_HEADER + OFFER_NAME_MAX + 1] = {1, OFFER_TEXT};
	struct offer offer;
	assert_true(offer_parse(bytes, OFFER_HEADER, &offer));
	assert_false(offer_parse(bytes, OFFER_HEADER - 1, &offer));
	memset(bytes + OFFER_HEADER, 'a', OFFER_NAME_MAX + 1);
	assert_true(offer_parse(bytes, sizeof(bytes) - 1, &offer));
	assert_false(offer_parse(bytes, sizeof(bytes), &offer));
	bytes[OFFER_HEADER + 3] = 0;
	assert_false(offer_parse(bytes, sizeof(bytes) - 1, &offer));
	bytes[7] = 1; // 65,536 bytes of text, and one more
	assert_true(offer_parse(bytes, OFFER_HEADER, &offer));
	bytes[9] = 1;
	assert_false(offer_parse(bytes, OFFER_HEADER, &offer));
	bytes[1] = OFFER_FILE;
	assert_true(offer_parse(bytes, OFFER_HEADER, &offer));
	bytes[0] = 2;
	assert_false(offer_parse(bytes, OFFER_HEADER, &offer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stay_in_their_folder),
		cmocka_unit_test(text_commands_no_terminal),
		cmocka_unit_test(others_are_no_offers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
