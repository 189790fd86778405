// Many queries: a workgroup takes 8 queries of a head, 16 lanes each, and streams over tiles of 16 keys. A lane has the score of one key of
// the tile, and 8 numbers of the sum that its query is becoming.

const QUERIES = 8u;
const LANES = 16u;
// Vectors of four from one row of a tile to the next. One more than the longest head has: else rows would begin in the same bank.
const PITCH = 33u;

var<workgroup> query_tile: array<vec4<f32>, QUERIES * PITCH>;
// Keys, then values.
var<workgroup> tile: array<vec4<f32>, LANES * PITCH>;
var<workgroup> scores: array<f32, QUERIES * LANES>;

// Four numbers of a head from the place `at` on; zeros behind its end.
fn four(at: u32, column: u32, which: u32) -> vec4<f32> {
    var found = vec4<f32>();
    for (var c = 0u; c < 4u && column + c < n.dim; c++) {
        switch which {
            case 0u: {
                found[c] = queries[n.queries + at + column + c];
            }
            case 1u: {
                found[c] = keys[n.keys + at + column + c];
            }
            default: {
                found[c] = values[n.values + at + column + c];
            }
        }
    }
    return found;
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let blocks = (n.tokens + QUERIES - 1u) / QUERIES;
    let group = id.y * groups.x + id.x;
    if group >= blocks * n.heads {
        return;
    }
    let head = group / blocks;
    let first_query = group % blocks * QUERIES;
    let row = index / LANES;
    let lane = index % LANES;
    let fours = (n.dim + 3u) / 4u;
    let query_width = n.heads * n.dim;
    let key_width = n.kv_heads * n.dim;
    let key_head = head / (n.heads / n.kv_heads) * n.dim;

    // Queries beyond the last repeat it and see nothing.
    for (var at = index; at < QUERIES * fours; at += QUERIES * LANES) {
        let query = min(first_query + at / fours, n.tokens - 1u);
        query_tile[at / fours * PITCH + at % fours] = four(query * query_width + head * n.dim, at % fours * 4u, 0u);
    }
    var seen = sight(min(first_query + row, n.tokens - 1u));
    if first_query + row >= n.tokens {
        seen = vec2<u32>(0u);
    }
    // What any of them sees.
    var all = sight(first_query);
    for (var query = first_query + 1u; query < min(first_query + QUERIES, n.tokens); query++) {
        let other = sight(query);
        all = vec2<u32>(min(all.x, other.x), max(all.y, other.y));
    }

    var most = NOTHING;
    var total = 0.0;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    for (var first = all.x; first < all.y; first += LANES) {
        workgroupBarrier();
        for (var at = index; at < LANES * fours; at += QUERIES * LANES) {
            let key = min(first + at / fours, n.held - 1u);
            tile[at / fours * PITCH + at % fours] = four(key * key_width + key_head, at % fours * 4u, 1u);
        }
        workgroupBarrier();
        let key = first + lane;
        let visible = key >= seen.x && key < seen.y;
        var score = NOTHING;
        if visible {
            var dots = vec4<f32>();
            for (var at = 0u; at < fours; at++) {
                dots += query_tile[row * PITCH + at] * tile[lane * PITCH + at];
            }
            score = scored(dots.x + dots.y + dots.z + dots.w, key);
        }
        scores[index] = score;
        workgroupBarrier();
        // The online softmax: what was added up so far counts less where a larger score appears.
        var larger = most;
        for (var other = 0u; other < LANES; other++) {
            larger = max(larger, scores[row * LANES + other]);
        }
        let fade = exp(most - larger);
        most = larger;
        workgroupBarrier();
        scores[index] = select(0.0, exp(score - larger), visible);
        for (var at = index; at < LANES * fours; at += QUERIES * LANES) {
            let key = min(first + at / fours, n.held - 1u);
            tile[at / fours * PITCH + at % fours] = four(key * key_width + key_head, at % fours * 4u, 2u);
        }
        workgroupBarrier();
        total *= fade;
        sum0 *= fade;
        sum1 *= fade;
        for (var other = 0u; other < LANES; other++) {
            let weight = scores[row * LANES + other];
            total += weight;
            // A key that is not seen must not add 0 times whatever its values are.
            if weight > 0.0 || weight != weight {
                sum0 += weight * tile[other * PITCH + lane];
                sum1 += weight * tile[other * PITCH + LANES + lane];
            }
        }
    }
    let query = first_query + row;
    if query < n.tokens {
        let at = n.y + query * query_width + head * n.dim;
        let share = select(0.0, 1.0 / total, total != 0.0);
        for (var c = 0u; c < 4u; c++) {
            let column = 4u * lane + c;
            if column < n.dim {
                y[at + column] = sum0[c] * share;
            }
            if column + 64u < n.dim {
                y[at + column + 64u] = sum1[c] * share;
            }
        }
    }
}
