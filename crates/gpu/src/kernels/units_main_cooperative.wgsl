
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) ids: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let index = id.y * ids.x + id.x;
    if index < n.count {
        let first = corner(index);
        product_of(first.x, first.y, subgroup, lane);
    }
}
