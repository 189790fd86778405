// The probabilities of one query: a workgroup takes a head and goes over its scores, in place, until they are softmax.

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let head = group.x;
    load_query(0u, head, index);
    let sees = seen(0u);
    let place = n.y + head * n.keys;
    for (var base = sees.x; base < sees.y; base += 64u) {
        let of_key = score(base, sees.y, head, index);
        if index < 64u && base + index < sees.y {
            y[place + base + index] = of_key;
        }
    }
    storageBarrier();

    var most = NOTHING;
    for (var key = sees.x + index; key < sees.y; key += 256u) {
        most = max(most, y[place + key]);
    }
    most = highest(most, index);
    var total = 0.0;
    for (var key = sees.x + index; key < sees.y; key += 256u) {
        total += exp(y[place + key] - most);
    }
    total = sum(total, index);
    for (var key = index; key < n.keys; key += 256u) {
        var probability = 0.0;
        if key >= sees.x && key < sees.y {
            probability = exp(y[place + key] - most) / total;
        }
        y[place + key] = probability;
    }
}
