// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
// The XDP program of an AF_XDP port: the relay's frames go to the socket of their receive queue,
// unless the guard drops them; everything else goes on to the kernel. DPDK's driver loads this
// object, takes the first program in it and the map called xsks_map; so there is one program here
// and tc's lives in an object of its own.
//
// A frame whose queue has no socket passes, whatever it is: after a crash of the dataplane the
// program stays attached, its sockets are gone, and the box is an ordinary host again.

#include "ebpf/guard.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

static __always_inline bool has_socket(__u32 queue)
{
	return bpf_map_lookup_elem(&xsks_map, &queue);
}

SEC("xdp")
int blindrelay_xdp(struct xdp_md *context)
{
	const void *data = (const void *)(long)context->data;
	const void *end = (const void *)(long)context->data_end;
	struct steer_datagram datagram = {0};
	enum steer_counter counter = steer_classify(data, end, (__u32)(end - data), 0, &datagram);
	long action = XDP_PASS;

	if (steer_takes(counter) || steer_drops(counter)) {
		if (!has_socket(context->rx_queue_index))
			counter = STEER_PASS_NO_SOCKET;
		else if (steer_takes(counter))
			counter = guard_judge(counter, &datagram);
	}
	if (steer_takes(counter))
		action = bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
	else if (steer_drops(counter))
		action = XDP_DROP;
	steer_count(counter);
	return (int)action;
}

const char steer_license[] SEC("license") = "Dual BSD/GPL";
