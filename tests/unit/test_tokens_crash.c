// SPDX-License-Identifier: BSD-3-Clause
// A process that spends tokens is killed at random instants, again and again on one store: no token
// is ever bought with twice, and none is lost but what was on its way in that instant.
//
//     shop (child): spend, spend, return ... SIGKILL     ledger (shared memory): what it was told
#include "tests/unit/token_purse.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum {
	KILLS = 60,
	TOKENS = 30000, // more than are spent in all lives
	IN_HAND = 16,   // purchases at once
	LIFE_US = 20000,
};

struct entry {
	uint8_t nonce[TOKEN_NONCE_SIZE];
	atomic_uint asked;    // purchases begun
	atomic_uint told;     // of those, ended, either way
	atomic_uint bought;   // of those, with success
	atomic_uint returned; // returns begun
};

struct ledger {
	atomic_uint next;    // token that is not tried yet
	atomic_uint bought;  // all
	atomic_uint refused; // -EALREADY
	struct entry entries[TOKENS];
};

struct shop {
	struct purse purse;
	struct ledger *ledger;
	uint32_t key_id;
	unsigned in_hand;
	bool verifying;
};

struct errand {
	struct shop *shop;
	struct entry *entry;
};

static void go_on(struct shop *shop);

static void bought(void *context, int result)
{
	struct errand errand = *(struct errand *)context;
	struct shop *shop = errand.shop;
	struct entry *entry = errand.entry;
	free(context);
	shop->in_hand--;
	if (result == 0) {
		atomic_fetch_add(&entry->bought, 1);
		atomic_fetch_add(&shop->ledger->bought, 1);
		// Every eighth buyer does not get what was paid for.
		if (!shop->verifying && entry->nonce[0] % 8 == 0) {
			const struct native_token token = {
				.key_id = shop->key_id, .nonce = entry->nonce};
			atomic_fetch_add(&entry->returned, 1);
			tokens_return(shop->purse.tokens, &token);
		}
	} else if (result == -EALREADY) {
		atomic_fetch_add(&shop->ledger->refused, 1);
	} else {
		abort();
	}
	atomic_fetch_add(&entry->told, 1);
	go_on(shop);
}

static void buy(struct shop *shop, struct entry *entry)
{
	struct errand *errand = malloc(sizeof(*errand));
	if (errand == NULL)
		abort();
	*errand = (struct errand){shop, entry};
	atomic_fetch_add(&entry->asked, 1);
	shop->in_hand++;
	int rc = tokens_spend(shop->purse.tokens, shop->key_id, entry->nonce, bought, errand);
	if (rc == 0)
		return;
	if (rc != -EALREADY)
		abort();
	shop->in_hand--;
	atomic_fetch_add(&entry->told, 1);
	atomic_fetch_add(&shop->ledger->refused, 1);
	free(errand);
}

// Keeps the hands full: tokens in order, and each a second time some while later.
static void go_on(struct shop *shop)
{
	while (!shop->verifying && shop->in_hand < IN_HAND) {
		unsigned i = atomic_fetch_add(&shop->ledger->next, 1);
		if (i >= TOKENS)
			return;
		buy(shop, &shop->ledger->entries[i]);
		if (i >= IN_HAND / 2)
			buy(shop, &shop->ledger->entries[i - IN_HAND / 2]);
	}
}

static void live(struct shop *shop)
{
	purse_reopen(&shop->purse);
	shop->key_id = token_ring_issuing(shop->purse.tokens->ring)->id;
	go_on(shop);
	uv_run(&shop->purse.loop, UV_RUN_DEFAULT);
	_exit(0);
}

static void kill_after(pid_t child, uint32_t microseconds)
{
	const struct timespec wait = {0, (long)microseconds * 1000};
	int status;
	nanosleep(&wait, NULL);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		fail_msg("the child ended by signal %d", WTERMSIG(status));
	assert_true(WIFSIGNALED(status));
}

// Tries to buy once more with everything that was tried so far.
static void verify(struct shop *shop, unsigned tried)
{
	struct ledger *ledger = shop->ledger;
	unsigned lost = 0, open = 0, before = atomic_load(&ledger->bought);
	purse_reopen(&shop->purse);
	shop->verifying = true;
	shop->key_id = token_ring_issuing(shop->purse.tokens->ring)->id;
	for (unsigned i = 0; i < tried; i++) {
		struct entry *entry = &ledger->entries[i];
		open += atomic_load(&entry->asked) - atomic_load(&entry->told);
		buy(shop, entry);
		while (shop->in_hand == TOKENS_WAITING_MAX / 2 || (i + 1 == tried && shop->in_hand))
			uv_run(&shop->purse.loop, UV_RUN_ONCE);
	}
	for (unsigned i = 0; i < tried; i++) {
		struct entry *entry = &ledger->entries[i];
		unsigned times = atomic_load(&entry->bought);
		unsigned returned = atomic_load(&entry->returned);
		assert_true(times <= 1 + returned);
		// Refused, although whoever bought with it was never told, or has returned it.
		lost += times == returned;
	}
	print_message("%u tried, %u bought, %u refused, %u on their way at a kill, %u lost, "
		      "%u free at the end\n",
		tried, before, atomic_load(&ledger->refused), open, lost,
		atomic_load(&ledger->bought) - before);
	// A return may be on its way as well, beside each purchase.
	assert_true(lost <= 2 * open);
	assert_true(open > 0);
}

static void killed_at_any_instant(void **unused)
{
	(void)unused;
	static struct shop shop;
	struct ledger *ledger = mmap(
		NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ledger != MAP_FAILED);
	purse_open(&shop.purse, 100000);
	purse_shut(&shop.purse);
	shop.ledger = ledger;
	for (unsigned i = 0; i < TOKENS; i++)
		randombytes_buf(ledger->entries[i].nonce, TOKEN_NONCE_SIZE);
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			live(&shop);
		kill_after(child, 2000 + randombytes_uniform(LIFE_US));
	}
	unsigned tried = atomic_load(&ledger->next);
	if (tried > TOKENS)
		tried = TOKENS;
	assert_in_range(tried, KILLS, TOKENS - 1);
	verify(&shop, tried);
	purse_close(&shop.purse);
	munmap(ledger, sizeof(*ledger));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_any_instant)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
