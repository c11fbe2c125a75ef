// SPDX-License-Identifier: BSD-3-Clause
// See aes256gcm.h.
#include "endpoint/session/aes256gcm.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(sizeof(((struct aes256gcm *)0)->schedule) >= sizeof(crypto_aead_aes256gcm_state) &&
		      alignof(struct aes256gcm) >= alignof(crypto_aead_aes256gcm_state),
	"libsodium's expanded key fits");

int aes256gcm_begin(struct aes256gcm *cipher, const uint8_t key[static AES256GCM_KEY_SIZE])
{
	memset(cipher, 0, sizeof(*cipher));
	if (crypto_aead_aes256gcm_is_available()) {
		crypto_aead_aes256gcm_beforenm(
			(crypto_aead_aes256gcm_state *)(void *)cipher->schedule, key);
		return 0;
	}
	gnutls_aead_cipher_hd_t handle;
	const gnutls_datum_t datum = {(uint8_t *)(uintptr_t)key, AES256GCM_KEY_SIZE};
	if (gnutls_aead_cipher_init(&handle, GNUTLS_CIPHER_AES_256_GCM, &datum) != 0)
		return -ENOMEM;
	cipher->handle = handle;
	return 0;
}

void aes256gcm_seal(const struct aes256gcm *cipher,
	const uint8_t nonce[static AES256GCM_NONCE_SIZE], const void *aad, size_t aad_size,
	const void *in, size_t size, uint8_t *out)
{
	if (cipher->handle == NULL) {
		crypto_aead_aes256gcm_encrypt_afternm(out, NULL, in, size, aad, aad_size, NULL,
			nonce, (const crypto_aead_aes256gcm_state *)(const void *)cipher->schedule);
		return;
	}
	size_t written = size + AES256GCM_TAG_SIZE;
	int result = gnutls_aead_cipher_encrypt(cipher->handle, nonce, AES256GCM_NONCE_SIZE, aad,
		aad_size, AES256GCM_TAG_SIZE, in, size, out, &written);
	assert(result == 0 && written == size + AES256GCM_TAG_SIZE);
	(void)result;
}

int aes256gcm_open(const struct aes256gcm *cipher, const uint8_t nonce[static AES256GCM_NONCE_SIZE],
	const void *aad, size_t aad_size, const uint8_t *in, size_t size, uint8_t *out)
{
	if (size < AES256GCM_TAG_SIZE)
		return -EBADMSG;
	int failed;
	size_t opened = size - AES256GCM_TAG_SIZE;
	if (cipher->handle == NULL)
		failed = crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, in, size, aad,
			aad_size, nonce,
			(const crypto_aead_aes256gcm_state *)(const void *)cipher->schedule);
	else
		failed = gnutls_aead_cipher_decrypt(cipher->handle, nonce, AES256GCM_NONCE_SIZE,
			aad, aad_size, AES256GCM_TAG_SIZE, in, size, out, &opened);
	if (failed == 0)
		return 0;
	// GnuTLS decrypts before it knows, and libsodium need not stay as it is.
	sodium_memzero(out, size - AES256GCM_TAG_SIZE);
	return -EBADMSG;
}

void aes256gcm_end(struct aes256gcm *cipher)
{
	if (cipher->handle != NULL)
		gnutls_aead_cipher_deinit(cipher->handle);
	sodium_memzero(cipher, sizeof(*cipher));
}
