// SPDX-License-Identifier: BSD-3-Clause
// The endpoint core on a libuv loop: one UDP socket for each family that the relay's addresses
// have, one timer, and a watch on the host's own address towards the relay. No threads.
//
//     endpoint_driver_create(&driver, uv_default_loop(), &config, on_event, context)
//     endpoint_register(endpoint_driver_core(driver), endpoint_driver_now())
//     uv_run(...)
//     endpoint_driver_close(driver, on_closed, context), and uv_run until on_closed
//
// Everything on the loop's thread. Events come as endpoint.h says, from inside the core's functions
// and from the loop.
#pragma once

#include "endpoint/endpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct endpoint_driver;

// config as for endpoint_create; copied. -EINVAL as there; -ENOMEM; or why a socket or a timer
// cannot be had (a negative errno). Nothing is sent yet.
int endpoint_driver_create(struct endpoint_driver **out, struct uv_loop_s *loop,
	const struct endpoint_config *config,
	void (*event)(void *context, const struct endpoint_event *event), void *context);

// The core, to be used with endpoint_driver_now(). Goes with the driver.
struct endpoint *endpoint_driver_core(const struct endpoint_driver *driver);
// Now, for every function of the core.
struct endpoint_time endpoint_driver_now(void);

// Ends at once, without telling the relay (endpoint_withdraw does that, and ENDPOINT_WITHDRAWN says
// when). No event comes any more. The driver and its core are freed by the loop, which then calls
// closed (NULL: nobody) once. Not from inside an event.
void endpoint_driver_close(
	struct endpoint_driver *driver, void (*closed)(void *context), void *context);

#ifdef __cplusplus
}
#endif
