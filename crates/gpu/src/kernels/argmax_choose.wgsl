// The second step of a choice: one workgroup finds the best of what the others found.

@group(0) @binding(0) var<storage, read> found: array<Candidate>;
@group(0) @binding(1) var<storage, read_write> choice: array<u32>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@group(0) @binding(3) var<uniform> n: Numbers;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var own = Candidate(0.0, NONE, 0u);
    if lane < n.groups {
        own = found[lane];
    }
    let chosen = best(own, lane);
    if lane == 0u {
        let token = select(chosen.token, 0u, chosen.token == NONE);
        // As rows of a table are gathered: which row, and which one it becomes.
        choice[0] = token;
        choice[1] = 0u;
        choice[2] = chosen.flag;
        if n.penalised == 1u {
            seen[token / 32u] |= 1u << (token % 32u);
        }
    }
}
