// Attention of many queries. A workgroup takes 32 queries of a head and goes through the keys that any of them sees, 32 at a time; what
// was summed is scaled down whenever a higher score turns up (online softmax), so scores never leave the workgroup.
//
// Invocation (row, lane) of 16 x 16 holds the scores of queries row and row + 16 with keys lane and lane + 16, then what these two queries
// sum in columns 4 lane .. 4 lane + 4 and, of heads wider than 64, 64 numbers further on.

const QUERIES = 32u;
const KEYS = 32u;
// vec4s from one row of a slice to the next: rows that are read together begin in different banks of memory.
const PITCH = 9u;

// 32 numbers of each query and of each key, or 16 values whole.
var<workgroup> tile: array<vec4<f32>, 576>;
var<workgroup> weights: array<f32, 1056>;
// What a query's 16 lanes found.
var<workgroup> found: array<f32, 544>;

// Four columns of a head. Beyond its last they repeat it: queries are made 0 there, sums are not written.
fn columns(first: u32) -> vec4<u32> {
    return min(vec4(first) + vec4(0u, 1u, 2u, 3u), vec4(n.dim - 1u));
}

fn query(row: u32, head: u32, first: u32) -> vec4<f32> {
    let at = n.q + min(row, n.queries - 1u) * n.q_stride + head * n.dim + columns(first);
    let beyond = vec4(first) + vec4(0u, 1u, 2u, 3u) >= vec4(n.dim);
    return select(vec4(q[at.x], q[at.y], q[at.z], q[at.w]), vec4(0.0), beyond);
}

fn key(row: u32, head: u32, first: u32) -> vec4<f32> {
    let at = n.k + min(row, n.keys - 1u) * n.k_stride + head / n.sharing * n.dim + columns(first);
    return vec4(k[at.x], k[at.y], k[at.z], k[at.w]);
}

fn value(row: u32, head: u32, first: u32) -> vec4<f32> {
    let at = n.v + min(row, n.keys - 1u) * n.v_stride + head / n.sharing * n.dim + columns(first);
    return vec4(v[at.x], v[at.y], v[at.z], v[at.w]);
}

fn write(row: u32, head: u32, first: u32, sums: vec4<f32>) {
    if row < n.queries {
        for (var at = 0u; at < 4u && first + at < n.dim; at++) {
            y[n.y + (row * n.heads + head) * n.dim + first + at] = sums[at];
        }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let head = group.y;
    let block = group.x * QUERIES;
    var span = vec2(n.keys, 0u);
    for (var at = block; at < min(block + QUERIES, n.queries); at++) {
        let sees = seen(at);
        if sees.x < sees.y {
            span = vec2(min(span.x, sees.x), max(span.y, sees.y));
        }
    }

    let row = index / 16u;
    let lane = index % 16u;
    let wide = n.dim > 64u;
    let sees = seen(min(block + row, n.queries - 1u));
    let other_sees = seen(min(block + row + 16u, n.queries - 1u));
    let first = vec4(sees.xx, other_sees.xx);
    let end = vec4(sees.yy, other_sees.yy);
    // Of the two queries: the highest score so far, the sum of this lane's weights, the sums of values.
    var most = vec2(NOTHING);
    var total = vec2(0.0);
    var near = vec4(0.0);
    var far = vec4(0.0);
    var other_near = vec4(0.0);
    var other_far = vec4(0.0);

    for (var base = span.x; base < span.y; base += KEYS) {
        var scores = vec4(0.0);
        for (var slice = 0u; slice < n.dim; slice += 32u) {
            workgroupBarrier();
            let place = index / 8u * PITCH + index % 8u;
            tile[place] = query(block + index / 8u, head, slice + index % 8u * 4u);
            tile[QUERIES * PITCH + place] = key(base + index / 8u, head, slice + index % 8u * 4u);
            workgroupBarrier();
            let steps = min(8u, (n.dim - slice + 3u) / 4u);
            for (var at = 0u; at < steps; at++) {
                let a = tile[row * PITCH + at];
                let b = tile[(row + 16u) * PITCH + at];
                let c = tile[(QUERIES + lane) * PITCH + at];
                let d = tile[(QUERIES + lane + 16u) * PITCH + at];
                scores += vec4(dot(a, c), dot(a, d), dot(b, c), dot(b, d));
            }
        }
        let keys = vec4(base + lane) + vec4(0u, 16u, 0u, 16u);
        let visible = (keys >= first) & (keys < end);
        scores *= n.scale;
        if n.raised == 1u {
            let by = vec2(raise[n.raise + min(keys.x, n.keys - 1u)], raise[n.raise + min(keys.y, n.keys - 1u)]);
            scores += by.xyxy;
        }
        scores = select(vec4(NOTHING), scores, visible);

        found[row * 17u + lane] = max(scores.x, scores.y);
        found[(row + 16u) * 17u + lane] = max(scores.z, scores.w);
        workgroupBarrier();
        var highest = most;
        for (var at = 0u; at < 16u; at++) {
            highest = max(highest, vec2(found[row * 17u + at], found[(row + 16u) * 17u + at]));
        }
        let kept = exp(most - highest);
        most = highest;
        let weight = select(vec4(0.0), exp(scores - highest.xxyy), visible);
        total = total * kept + vec2(weight.x + weight.y, weight.z + weight.w);
        near *= kept.x;
        far *= kept.x;
        other_near *= kept.y;
        other_far *= kept.y;
        weights[row * 33u + lane] = weight.x;
        weights[row * 33u + lane + 16u] = weight.y;
        weights[(row + 16u) * 33u + lane] = weight.z;
        weights[(row + 16u) * 33u + lane + 16u] = weight.w;

        for (var half = 0u; half < KEYS && base + half < span.y; half += 16u) {
            if half > 0u {
                workgroupBarrier();
            }
            tile[row * 32u + lane] = value(base + half + row, head, lane * 4u);
            if wide {
                tile[row * 32u + lane + 16u] = value(base + half + row, head, lane * 4u + 64u);
            }
            workgroupBarrier();
            for (var at = 0u; at < 16u; at++) {
                let a = weights[row * 33u + half + at];
                let b = weights[(row + 16u) * 33u + half + at];
                let values = tile[at * 32u + lane];
                near += a * values;
                other_near += b * values;
                if wide {
                    let further = tile[at * 32u + lane + 16u];
                    far += a * further;
                    other_far += b * further;
                }
            }
        }
    }

    found[row * 17u + lane] = total.x;
    found[(row + 16u) * 17u + lane] = total.y;
    workgroupBarrier();
    total = vec2(0.0);
    for (var at = 0u; at < 16u; at++) {
        total += vec2(found[row * 17u + at], found[(row + 16u) * 17u + at]);
    }
    // A query that sees nothing has a total of 0, and sums that are 0.
    let share = 1.0 / select(total, vec2(1.0), total == vec2(0.0));
    write(block + row, head, lane * 4u, near * share.x);
    write(block + row, head, lane * 4u + 64u, far * share.x);
    write(block + row + 16u, head, lane * 4u, other_near * share.y);
    write(block + row + 16u, head, lane * 4u + 64u, other_far * share.y);
}
