// SPDX-License-Identifier: BSD-3-Clause
// The phone on a libuv loop: UDP sockets that are bound to all addresses (one of each family, more
// when the phone asks), one timer, and the addresses of this host, read anew whenever rtnetlink
// says that links, addresses or routes have changed. No threads.
//
//     phone_driver_create(&driver, uv_default_loop(), &config, on_event, context)
//     phone_listen(phone_driver_phone(driver), phone_driver_now())
//     uv_run(...)
//     phone_driver_close(driver, on_closed, context), and uv_run until on_closed
//
// Everything on the loop's thread. Events come as phone.h says, from inside the phone's functions
// and from the loop. What the kernel does not take at once is lost, as on the way; that a
// destination cannot be reached (ICMP) disturbs nothing.
#pragma once

#include "endpoint/phone/phone.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct phone_driver;

// config as for phone_create; copied. The phone has its sockets and knows its addresses when this
// returns; nothing is sent yet. -EINVAL, -ENOSYS as there; -ENOMEM; or why neither family has a
// socket (a negative errno).
int phone_driver_create(struct phone_driver **out, struct uv_loop_s *loop,
	const struct phone_config *config,
	void (*event)(void *context, const struct phone_event *event), void *context);

// The phone, to be used with phone_driver_now(). Goes with the driver.
struct phone *phone_driver_phone(const struct phone_driver *driver);
// Now, for every function of the phone.
struct endpoint_time phone_driver_now(void);

// Ends at once, without telling anybody (phone_withdraw does that, and says when). No event comes
// any more. The driver and its phone are freed by the loop, which then calls closed (NULL: nobody)
// once. Not from inside an event.
void phone_driver_close(struct phone_driver *driver, void (*closed)(void *context), void *context);

#ifdef __cplusplus
}
#endif
