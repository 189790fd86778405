// Rows of a weight, widened to f32. An invocation takes a pack.

struct Numbers {
    width: u32,
    packs: u32,
    // Packs that share a scale.
    group: u32,
    // Rows that are gathered.
    rows: u32,
    // The part of the weight that is bound: its first row, how many it holds, and how many lie in front of them in its memory.
    first: u32,
    held: u32,
    above: u32,
}

// For each of them: which row of the weight, and which row of y it becomes.
@group(0) @binding(0) var<storage, read> ids: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.rows * n.packs {
        return;
    }
    let pack = at % n.packs;
    var row = ids[at / n.packs];
    row.x -= n.first;
    // A row of another part, also one before this: it has wrapped around.
    if row.x >= n.held {
        return;
    }
    var values = weights(n.above + row.x, pack);
    for (var column = 8u * pack; column < min(8u * pack + 8u, n.width); column++) {
        y[row.y * n.width + column] = values[column % 8u / 4u][column % 4u];
    }
}
