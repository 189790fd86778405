// The probabilities of one query: a workgroup takes a head; its lanes take every 64th key.

const LANES = 64u;

var<workgroup> query_row: array<f32, 128>;
var<workgroup> partial: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = id.x;
    let key_width = n.kv_heads * n.dim;
    let key_head = head / (n.heads / n.kv_heads) * n.dim;
    for (var at = lane; at < n.dim; at += LANES) {
        query_row[at] = queries[n.queries + head * n.dim + at];
    }
    workgroupBarrier();
    let seen = sight(0u);
    let row = n.y + head * n.held;
    // A lane comes back to its own keys alone, so what it wrote is there.
    var most = NOTHING;
    for (var key = lane; key < n.held; key += LANES) {
        var score = NOTHING;
        if key >= seen.x && key < seen.y {
            var dot = 0.0;
            let at = n.keys + key * key_width + key_head;
            for (var column = 0u; column < n.dim; column++) {
                dot += query_row[column] * keys[at + column];
            }
            score = scored(dot, key);
        }
        y[row + key] = score;
        most = max(most, score);
    }
    partial[lane] = most;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] = max(partial[lane], partial[lane + half]);
        }
        workgroupBarrier();
    }
    most = partial[0];
    workgroupBarrier();
    var total = 0.0;
    for (var key = lane; key < n.held; key += LANES) {
        let weight = select(0.0, exp(y[row + key] - most), key >= seen.x && key < seen.y);
        y[row + key] = weight;
        total += weight;
    }
    partial[lane] = total;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    let share = select(0.0, 1.0 / partial[0], partial[0] != 0.0);
    for (var key = lane; key < n.held; key += LANES) {
        y[row + key] *= share;
    }
}
