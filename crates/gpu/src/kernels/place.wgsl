// Copies rows of x to y, which end in zeros where they are longer. Either may be columns of a wider matrix; which row or column of x becomes
// which of y may be listed.

struct Numbers {
    x: u32,
    y: u32,
    // From a row to the next one.
    x_pitch: u32,
    y_pitch: u32,
    rows: u32,
    // Of y, and how many of them x has.
    columns: u32,
    filled: u32,
    // 1: `ids` says which row of x is taken; 2: which column.
    listed: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> n: Numbers;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = (id.y * groups.x + id.x) * 64u + lane;
    if at >= n.rows * n.columns {
        return;
    }
    let row = at / n.columns;
    let column = at % n.columns;
    var taken = vec2<u32>(row, column);
    if n.listed == 1u {
        taken.x = ids[row];
    }
    if n.listed == 2u {
        taken.y = ids[column];
    }
    var value = 0.0;
    if taken.y < n.filled {
        value = x[n.x + taken.x * n.x_pitch + taken.y];
    }
    y[n.y + row * n.y_pitch + column] = value;
}
