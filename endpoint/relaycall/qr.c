// SPDX-License-Identifier: BSD-3-Clause
// See qr.h.
#include "endpoint/relaycall/qr.h"

#include "endpoint/relaycall/file.h"

#include <qrencode.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET = 4, PIXELS = 8 }; // modules; pixels of a module in a picture

// The lowest level of correction: a screen shows a code undamaged, and fewer modules are larger
// ones.
static int encode(const char *text, QRcode **out)
{
	*out = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (*out != NULL)
		return 0;
	return errno == ERANGE ? -EFBIG : -ENOMEM;
}

static unsigned side(const QRcode *code)
{
	return (unsigned)code->width + 2 * QUIET;
}

// In the coordinates of the whole, with the quiet zone.
static bool dark(const QRcode *code, unsigned x, unsigned y)
{
	unsigned width = (unsigned)code->width;

	if (x < QUIET || y < QUIET || x >= QUIET + width || y >= QUIET + width)
		return false;
	return code->data[(y - QUIET) * width + x - QUIET] & 1;
}

int qr_print(const char *text, FILE *out, int colours, unsigned *columns)
{
	// Both light, lower dark, upper dark, both dark.
	static const char *const blocks[] = {" ", "\u2584", "\u2580", "\u2588"};
	QRcode *code;

	int result = encode(text, &code);
	if (result != 0)
		return result;
	*columns = side(code);
	for (unsigned y = 0; y < side(code); y += 2) {
		if (colours) // of the 256: those of the first 16 are as the terminal likes
			fputs("\033[38;5;16;48;5;231m", out);
		for (unsigned x = 0; x < side(code); x++)
			fputs(blocks[2 * dark(code, x, y) + dark(code, x, y + 1)], out);
		fputs(colours ? "\033[0m\n" : "\n", out);
	}
	QRcode_free(code);
	return 0;
}

// ---- pictures ----

enum qr_format qr_format_of(const char *path)
{
	const char *end = strrchr(path, '.');

	if (end == NULL || end == path || end[-1] == '/')
		return QR_NONE;
	if (strcasecmp(end, ".svg") == 0)
		return QR_SVG;
	return strcasecmp(end, ".pbm") == 0 ? QR_PBM : QR_NONE;
}

// One path; a run of dark modules is one rectangle of it.
static void put_svg(const QRcode *code, FILE *out)
{
	unsigned width = side(code);

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
		"height=\"%u\" shape-rendering=\"crispEdges\">\n"
		"<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n<path d=\"",
		width, width, width * PIXELS, width * PIXELS, width, width);
	for (unsigned y = 0; y < width; y++)
		for (unsigned x = 0, run; x < width; x += run + 1) {
			for (run = 0; dark(code, x + run, y); run++)
				;
			if (run > 0)
				fprintf(out, "M%u %uh%uv1h-%uz", x, y, run, run);
		}
	fputs("\"/>\n</svg>\n", out);
}

// The plain form: 1 is black.
static void put_pbm(const QRcode *code, FILE *out)
{
	unsigned pixels = side(code) * PIXELS;

	fprintf(out, "P1\n%u %u\n", pixels, pixels);
	for (unsigned y = 0; y < pixels; y++)
		for (unsigned x = 0; x < pixels; x++)
			// Lines of it shall not be longer than 70 characters.
			fprintf(out, "%d%s", dark(code, x / PIXELS, y / PIXELS),
				(x + 1) % 64 == 0 || x + 1 == pixels ? "\n" : "");
}

int qr_write(const char *text, const char *path, enum qr_format format)
{
	char *picture = NULL;
	size_t size = 0;
	QRcode *code;

	int result = encode(text, &code);
	if (result != 0)
		return result;
	FILE *out = open_memstream(&picture, &size);
	if (out == NULL) {
		QRcode_free(code);
		return -ENOMEM;
	}
	if (format == QR_SVG)
		put_svg(code, out);
	else
		put_pbm(code, out);
	QRcode_free(code);
	result = fclose(out) == 0 ? file_replace(path, picture, size, 0644) : -ENOMEM;
	free(picture);
	return result;
}
