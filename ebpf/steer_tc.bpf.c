// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
// The tc ingress program of an AF_PACKET port. The dataplane's packet socket has had its copy of a
// frame when this runs; here the kernel's copy of the relay's frames is dropped, so that the kernel
// does not answer them with ICMP port unreachable. Everything else goes on to the next filter, as
// if this one were not there (TC_ACT_OK would end the walk and silence an operator's own filters).

#include "ebpf/classify.h"

#include <linux/pkt_cls.h>

SEC("tc")
int blindrelay_tc(struct __sk_buff *frame)
{
	const void *data = (const void *)(long)frame->data;
	const void *end = (const void *)(long)frame->data_end;
	__u32 want = frame->len < STEER_READ_LENGTH ? frame->len : STEER_READ_LENGTH;

	// Drivers may leave headers in page fragments, out of direct reach.
	if (data + want > end) {
		if (bpf_skb_pull_data(frame, want)) {
			steer_count(STEER_PASS_MALFORMED);
			return TC_ACT_UNSPEC;
		}
		data = (const void *)(long)frame->data;
		end = (const void *)(long)frame->data_end;
	}
	// The kernel has moved the outermost tag into the metadata by now.
	struct steer_datagram datagram = {0};
	enum steer_counter counter =
		steer_classify(data, end, frame->len, frame->vlan_present ? 1 : 0, &datagram);
	steer_count(counter);
	return steer_takes(counter) || steer_drops(counter) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

const char steer_license[] SEC("license") = "Dual BSD/GPL";
