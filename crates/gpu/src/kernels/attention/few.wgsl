// Attention of few queries. A workgroup takes one query of a head and a part of the keys that it sees. With several parts it leaves sums,
// the highest score and the sum of weights for combine.wgsl.

// The scores, then the weights of a part; zeros behind them.
var<workgroup> weights: array<f32, 1028>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let part = group.x;
    let head = group.y;
    let token = group.z;
    load_query(token, head, index);
    let sees = seen(token);
    let first = min(sees.x + part * n.part, sees.y);
    let end = min(first + n.part, sees.y);
    let count = end - first;
    for (var base = first; base < end; base += 64u) {
        let of_key = score(base, end, head, index);
        if index < 64u && base + index < end {
            weights[base - first + index] = of_key;
        }
    }
    workgroupBarrier();

    var most = NOTHING;
    for (var at = index; at < count; at += 256u) {
        most = max(most, weights[at]);
    }
    most = highest(most, index);
    var total = 0.0;
    for (var at = index; at < count + 4u; at += 256u) {
        let weight = select(0.0, exp(weights[at] - most), at < count);
        weights[at] = weight;
        total += weight;
    }
    total = sum(total, index);

    // As many crews as fit in a workgroup, an invocation for each column; four keys at a time, so that reads overlap.
    let crews = 256u / n.dim;
    let crew = index / n.dim;
    let column = n.v + head / n.sharing * n.dim + index % n.dim;
    var value = 0.0;
    if crew < crews {
        for (var at = 4u * crew; at < count; at += 4u * crews) {
            let rows = column + min(vec4(first + at) + vec4(0u, 1u, 2u, 3u), vec4(end - 1u)) * n.v_stride;
            let four = vec4(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
            value += dot(four, vec4(v[rows.x], v[rows.y], v[rows.z], v[rows.w]));
        }
    }
    folded[index] = value;
    workgroupBarrier();

    let place = n.y + ((token * n.heads + head) * n.parts + part) * (n.dim + select(0u, 2u, n.parts > 1u));
    if index < n.dim {
        value = 0.0;
        for (var other = index; other < crews * n.dim; other += n.dim) {
            value += folded[other];
        }
        if n.parts == 1u {
            // Without a key both are 0.
            value /= select(total, 1.0, total == 0.0);
        }
        y[place + index] = value;
    }
    if n.parts > 1u && index == 0u {
        y[place + n.dim] = most;
        y[place + n.dim + 1u] = total;
    }
}
