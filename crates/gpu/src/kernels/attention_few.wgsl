// Few queries: a workgroup takes one query of a head and a split of its keys, 64 at a time. A lane has the score of one of them, and two
// numbers of the sum. With several splits it leaves sum, total and largest score of its own; combine.wgsl puts them together.

const LANES = 64u;

var<workgroup> query_row: array<f32, 128>;
var<workgroup> scores: array<f32, LANES>;
var<workgroup> largest: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = id.y * groups.x + id.x;
    if group >= n.tokens * n.heads * n.splits {
        return;
    }
    let part = group % n.splits;
    let head = group / n.splits % n.heads;
    let query = group / n.splits / n.heads;
    let key_width = n.kv_heads * n.dim;
    let key_head = head / (n.heads / n.kv_heads) * n.dim;
    for (var at = lane; at < n.dim; at += LANES) {
        query_row[at] = queries[n.queries + (query * n.heads + head) * n.dim + at];
    }
    workgroupBarrier();
    let seen = sight(query);
    let begin = seen.x + part * n.split;
    let end = min(begin + n.split, seen.y);

    var most = NOTHING;
    var total = 0.0;
    var sum0 = 0.0;
    var sum1 = 0.0;
    for (var first = begin; first < end; first += LANES) {
        let key = first + lane;
        var score = NOTHING;
        if key < end {
            var dot = 0.0;
            let at = n.keys + key * key_width + key_head;
            for (var column = 0u; column < n.dim; column++) {
                dot += query_row[column] * keys[at + column];
            }
            score = scored(dot, key);
        }
        largest[lane] = score;
        workgroupBarrier();
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if lane < half {
                largest[lane] = max(largest[lane], largest[lane + half]);
            }
            workgroupBarrier();
        }
        // The online softmax: what was added up so far counts less where a larger score appears.
        let larger = max(most, largest[0]);
        let fade = exp(most - larger);
        most = larger;
        scores[lane] = select(0.0, exp(score - larger), key < end);
        workgroupBarrier();
        total *= fade;
        sum0 *= fade;
        sum1 *= fade;
        let here = min(LANES, end - first);
        for (var other = 0u; other < here; other++) {
            let weight = scores[other];
            total += weight;
            let at = n.values + (first + other) * key_width + key_head + lane;
            if lane < n.dim {
                sum0 += weight * values[at];
            }
            if lane + LANES < n.dim {
                sum1 += weight * values[at + LANES];
            }
        }
        workgroupBarrier();
    }
    if n.splits == 1u {
        let share = select(0.0, 1.0 / total, total != 0.0);
        sum0 *= share;
        sum1 *= share;
    }
    // Of one split a row of the result; of several a row of sums with two more numbers.
    let width = n.dim + select(2u, 0u, n.splits == 1u);
    let at = n.y + ((query * n.heads + head) * n.splits + part) * width;
    if lane < n.dim {
        y[at + lane] = sum0;
    }
    if lane + LANES < n.dim {
        y[at + lane + LANES] = sum1;
    }
    if lane == 0u && n.splits > 1u {
        y[at + n.dim] = total;
        y[at + n.dim + 1u] = most;
    }
}
