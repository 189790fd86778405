
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = id.y * ids.x + id.x;
    plain_lane = lane % 32u;
    if index < n.count {
        let first = corner(index);
        product_of(first.x, first.y, lane / 32u, lane);
    }
}
