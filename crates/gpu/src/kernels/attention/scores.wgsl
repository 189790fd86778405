// Scores of one query of a head, 64 keys at a time, by a workgroup of 256.

var<workgroup> query: array<f32, 128>;
// 16 lanes of 16 rows; a 17th keeps rows that are read together in different banks of memory.
var<workgroup> partial: array<vec4<f32>, 272>;
var<workgroup> folded: array<f32, 256>;

fn load_query(token: u32, head: u32, index: u32) {
    if index < n.dim {
        query[index] = q[n.q + token * n.q_stride + head * n.dim + index];
    }
    workgroupBarrier();
}

// The score of key base + index % 64, for every invocation; that of the last key where there are not so many.
fn score(base: u32, end: u32, head: u32, index: u32) -> f32 {
    let row = index / 16u;
    let lane = index % 16u;
    let keys = min(vec4(base + row) + vec4(0u, 16u, 32u, 48u), vec4(end - 1u));
    let at = n.k + keys * n.k_stride + head / n.sharing * n.dim;
    // Lanes take columns side by side, so that memory is read in stretches.
    var dots = vec4(0.0);
    for (var d = lane; d < n.dim; d += 16u) {
        dots += query[d] * vec4(k[at.x + d], k[at.y + d], k[at.z + d], k[at.w + d]);
    }
    partial[row * 17u + lane] = dots;
    workgroupBarrier();
    var total = 0.0;
    for (var other = 0u; other < 16u; other++) {
        total += partial[lane * 17u + other][row % 4u];
    }
    workgroupBarrier();
    var of_key = total * n.scale;
    if n.raised == 1u {
        of_key += raise[n.raise + min(base + index % 64u, end - 1u)];
    }
    return of_key;
}

// The highest of all invocations' values, for all of them.
fn highest(value: f32, index: u32) -> f32 {
    folded[index] = value;
    workgroupBarrier();
    if index < 16u {
        for (var other = index + 16u; other < 256u; other += 16u) {
            folded[index] = max(folded[index], folded[other]);
        }
    }
    workgroupBarrier();
    var of_all = folded[0];
    for (var at = 1u; at < 16u; at++) {
        of_all = max(of_all, folded[at]);
    }
    workgroupBarrier();
    return of_all;
}

// The sum of all invocations' values, for all of them.
fn sum(value: f32, index: u32) -> f32 {
    folded[index] = value;
    workgroupBarrier();
    if index < 16u {
        for (var other = index + 16u; other < 256u; other += 16u) {
            folded[index] += folded[other];
        }
    }
    workgroupBarrier();
    var of_all = 0.0;
    for (var at = 0u; at < 16u; at++) {
        of_all += folded[at];
    }
    workgroupBarrier();
    return of_all;
}
