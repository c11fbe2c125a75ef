// SPDX-License-Identifier: BSD-3-Clause
// A card as a QR code: dark on light, with the quiet zone of four modules that readers want
// (ISO/IEC 18004 section 9.1), on a terminal or as a picture.
#pragma once

#include <stddef.h>
#include <stdio.h>

// Writes two modules a character (half blocks, UTF-8), black on white by escape sequences where
// `colours`. -EFBIG: more text than a code holds; -ENOMEM. *columns: as wide as it is, or would be.
int qr_print(const char *text, FILE *out, int colours, unsigned *columns);

enum qr_format { QR_NONE, QR_SVG, QR_PBM };
// By the file name's ending, .svg or .pbm.
enum qr_format qr_format_of(const char *path);
// Replaces the file. Errors as above, and those of file_replace.
int qr_write(const char *text, const char *path, enum qr_format format);
