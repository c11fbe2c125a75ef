// SPDX-License-Identifier: BSD-3-Clause
// SHA-3 and SHAKE against the examples of FIPS 202 and against digests made by CPython's hashlib
// around the ends of blocks; four states at once against each alone, in every build that this
// processor runs.
// wrap: cpu_has_avx2
// wrap: cpu_has_avx512
#include "lib/crypto/keccak.h"
#include "tests/unit/cpu_builds.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

// ---- the functions ----

static const struct {
	unsigned rate, suffix;
	size_t size; // of output
} functions[] = {
	{SHA3_256_RATE, SHA3_SUFFIX, SHA3_256_SIZE},
	{SHA3_512_RATE, SHA3_SUFFIX, SHA3_512_SIZE},
	{SHAKE128_RATE, SHAKE_SUFFIX, 500},
	{SHAKE256_RATE, SHAKE_SUFFIX, 500},
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]), MESSAGE_MAX = 700, PIECE = 32 };

static void assert_hex(const uint8_t *have, size_t size, const char *hex)
{
	uint8_t want[64];
	size_t length;
	assert_int_equal(
		sodium_hex2bin(want, sizeof(want), hex, strlen(hex), NULL, &length, NULL), 0);
	assert_int_equal(length, size);
	assert_memory_equal(have, want, size);
}

static void run(unsigned function, const void *message, size_t size, uint8_t *out, size_t out_size)
{
	struct keccak state;
	keccak_begin(&state, functions[function].rate);
	keccak_add(&state, message, size);
	keccak_finish(&state, functions[function].suffix, out, out_size);
}

static void examples(void **unused)
{
	(void)unused;
	static const char *const of_nothing[] = {
		"a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
		("a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
		 "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26"),
		"7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
		"46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f",
	};
	static const char *const of_abc[] = {
		"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		("b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
		 "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"),
		"5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8",
		"483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739",
	};
	uint8_t out[SHA3_512_SIZE];
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		size_t size = strlen(of_nothing[i]) / 2;
		run(i, NULL, 0, out, size);
		assert_hex(out, size, of_nothing[i]);
		run(i, "abc", 3, out, size);
		assert_hex(out, size, of_abc[i]);
	}
}

// The last 32 bytes of what each function gives of so many bytes, in the order above.
static const struct {
	size_t size;
	const char *ends[FUNCTIONS];
} around_blocks[] = {
	{0, {"a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
		    "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
		    "4e1300b9b2153d2041d205b443e41b45a653f2a5c4492c1add544512dda25298",
		    "1875824d09958f341ef274bdab0bae316339894304e35877b0c28a9b1fd166c7"}},
	{1, {"5d53469f20fef4f8eab52b88044ede69c77a6a68a60728609fc4a65ff531e7d0",
		    "5a53887600a3eceba004de51105139f32506fe5b53e1913bfa6b32e716fe97da",
		    "e6a041273d7fa57e6e7d000d7a9b5a7f5d81a1db304e47ba87a5b6e3b6bedb94",
		    "7805dd52bf83bd707ddf9cc64f410c99f1d8f0d4ad0b1954c69e423cd4c9c49e"}},
	{71, {"2c5a9fa4c495c0666e88044c13ee0fb3aede437d1497d426c6d42b2008fda1cf",
		     "7175ceeefee50ee0e0b558a2a16fa82bce7ace3606fda1f3979e4b105d15a0b2",
		     "6cb2fbaece26f78f84371eba416f9b0065350434b8f3d8dae7447f70fe19d11d",
		     "64c694999eb99eb58938cc6b18adec4fb87ff279f98eaa7b7ecf55237dad8c44"}},
	{72, {"8e49414ff755cea961ad195b3206f941070ed9277cbde0a2da5d9ba7ae40d6a9",
		     "2192889292c4465899b0d28dd1c4eb4cb0bb01e07ad2379ab45d4d5639835eb7",
		     "b88aa4fb5af3882c6aa93b7ed4765775cb2f36b9aef89eb50ec4014f8ae17b3b",
		     "e4bb7653f12b2af31fe42208177697abab34289b09c223760385958141525a36"}},
	{73, {"9b3d7e52c5791598443a0be6d381dac02e14821d7824b2a356733796120f0230",
		     "e964950aa29b29eebe5fe9ef5057612d068d04ab11bfe124920c876b0b057ee5",
		     "6a720132246b96620d15915bee41642534a54146bf707dae1b0bb92d1402b1b1",
		     "09d5fa8b325255828e8e788ca3da995eea4ab4e005b314e05e9ab5a137b9f1df"}},
	{135, {"2f6d0ed38ad614af2b245d79dba7a473731762188697602e4da5c39125c8a9a6",
		      "4a585d8c682166c73a72dd975db148b13339c429c32b058f9c85a6cdb71e76a3",
		      "c90df1f20406c16fceef25ac58727dfc54791afadcb8c55627efdcf66f08d0ce",
		      "042f839c5f528fac3dd53613c2bb891f4f1828a2f837bf955e0ef09888961776"}},
	{136, {"1c33504292f84699c382b4e53645f483c6cc5cf0fdb78ff87a1c4d12c26915a7",
		      "85375d9320806ed0735ed728ce48089dfb312f53bfbbb39555ee08273842ad0d",
		      "ba6ec217d3b48cb897560317663bf0e5ac20b934e9dd323f9bfa92e707e4e3e0",
		      "83ba39dabe27be4b74b1cddb41aa49d386b0059732f8557cd87846aab2250fc1"}},
	{137, {"328e173469e331b025dda12fbccbe0d076084af1a7b1d0bb1bad27ad738b6677",
		      "19d90d8818943b053b041eb140f0a6973fae2aa5527d16fc1678eb6b125be1c1",
		      "12c62310068813ea35fa779b882ce3761d4996bc85b95fe67ceddaf2e0f59da8",
		      "f8bd60321ce9f39bf3d640dd8dda16ce48fd3187c81e4793e2a4541be867c260"}},
	{167, {"fdf87b8ad77c4a021cb91e4c17840fcbc6e31407952085baa1d4bfa5b4cef806",
		      "a267c708fc9431345d486030bd181d27b7b049ee8052a9c31288a02327aa62d1",
		      "3c47304e227bff4cbbfd8e8b21eddadf1504f7631ea005b917f0846b90d5122b",
		      "a7211acf25ea6c47fb27538387ef97447ced83e29c81fa660915cafc26a8420a"}},
	{168, {"5c82938f182bc814375fde1c140340b2faf304971877080adf6908aaaf2ec33f",
		      "1301209b2b47780b8e5d06ae02323ddcabb391defe131649c7ffcbaf2c3b2907",
		      "050abe755ba6a2833e6c33f75537e644a0784d31b8c73fdcca59932cebbc5db0",
		      "5b6456b30ef5f733c967a3d0f5235852047256d4b5588ed44e68b7f1e6adbbfc"}},
	{169, {"437dd4dbaecb71f4313f136a50a83e1c8c16142388f6358f85669740600742b5",
		      "54612f614c4d6cd484af6f6e333e36103ec7c390a8bee613a4bd770e02511339",
		      "91cca2bdf2f33543fad011c76aacdc15fa36f910b41142245c0249899fb6411d",
		      "a72750218e12fd8b1804fcd0eee135deeb614a2f461deeff1e327294039a36be"}},
	{700, {"74c991860962a6b3e2b731bcb91b01247692146a7e03b8eaaa2c43bd735e4b93",
		      "a57a48002c04ec0fd49c6f51ed4df24755c507bbe3b7ae75e569174ec6228ae6",
		      "adccd3d0a4a354b855322188ae90584a96e87123b35de19f39b3ecc96a45cc18",
		      "21f79ec8b1c0dfdf5e4b1daea44a7d068406be2d5d4ce9439832a71a03d30360"}},
};

static void fill(uint8_t message[static MESSAGE_MAX])
{
	for (unsigned i = 0; i < MESSAGE_MAX; i++)
		message[i] = (uint8_t)(7 * i + i / 251);
}

static void ends_of_blocks(void **unused)
{
	(void)unused;
	uint8_t message[MESSAGE_MAX], out[500];
	fill(message);
	for (build = 0; build < builds(); build++)
		for (size_t n = 0; n < sizeof(around_blocks) / sizeof(around_blocks[0]); n++)
			for (unsigned i = 0; i < FUNCTIONS; i++) {
				size_t size = functions[i].size;
				run(i, message, around_blocks[n].size, out, size);
				assert_hex(out + size - PIECE, PIECE, around_blocks[n].ends[i]);
			}
}

static void in_pieces(void **unused)
{
	(void)unused;
	uint8_t message[MESSAGE_MAX], whole[PIECE], pieces[PIECE];
	fill(message);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		for (unsigned round = 0; round < 50; round++) {
			struct keccak state;
			size_t size = randombytes_uniform(MESSAGE_MAX + 1), at = 0;
			run(i, message, size, whole, sizeof(whole));
			keccak_begin(&state, functions[i].rate);
			while (at < size) {
				size_t part = 1 + randombytes_uniform((uint32_t)(size - at));
				keccak_add(&state, message + at, part);
				at += part;
			}
			keccak_finish(&state, functions[i].suffix, pieces, sizeof(pieces));
			assert_memory_equal(pieces, whole, sizeof(whole));
		}
}

static void four_are_four_times_one(void **unused)
{
	(void)unused;
	for (build = 0; build < builds(); build++) {
		struct keccak4 four;
		uint64_t one[KECCAK_STATES][KECCAK_LANES];
		randombytes_buf(&four, sizeof(four));
		for (unsigned n = 0; n < KECCAK_STATES; n++)
			for (unsigned i = 0; i < KECCAK_LANES; i++)
				one[n][i] = four.lanes[i][n];
		keccak4_permute(&four);
		unsigned chosen = build;
		build = 0;
		for (unsigned n = 0; n < KECCAK_STATES; n++) {
			keccak_permute(one[n]);
			for (unsigned i = 0; i < KECCAK_LANES; i++)
				assert_true(one[n][i] == four.lanes[i][n]);
		}
		build = chosen;
	}
}

// A block of one of four states is that of a state alone, whatever the others hold.
static void blocks_of_one_of_four(void **unused)
{
	(void)unused;
	for (unsigned n = 0; n < KECCAK_STATES; n++) {
		struct keccak4 four;
		struct keccak one;
		uint8_t block[SHAKE256_RATE] = {0}, want[131], have[131 + 1] = {[131] = 0xAA};
		size_t size = 1 + randombytes_uniform(SHAKE256_RATE - 1);
		randombytes_buf(block, size);
		keccak_begin(&one, SHAKE256_RATE);
		keccak_add(&one, block, size);
		keccak_finish(&one, SHAKE_SUFFIX, want, sizeof(want));

		block[size] ^= SHAKE_SUFFIX;
		block[SHAKE256_RATE - 1] ^= 0x80;
		randombytes_buf(&four, sizeof(four));
		for (unsigned i = 0; i < KECCAK_LANES; i++)
			four.lanes[i][n] = 0;
		keccak4_add(&four, n, block, sizeof(block));
		keccak4_permute(&four);
		keccak4_read(&four, n, have, 131);
		assert_memory_equal(have, want, 131);
		assert_int_equal(have[131], 0xAA);
	}
}

static int setup(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(ends_of_blocks),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(four_are_four_times_one),
		cmocka_unit_test(blocks_of_one_of_four),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
