enable f16;
enable wgpu_cooperative_matrix;

// Matrix units by way of wgpu's cooperative matrices: the lanes of a subgroup hold a matrix of 16 × 16 together. units.wgsl says how they
// are used; units_plain.wgsl does the same without them.

// Four numbers in f16.
alias Four = vec4<f16>;
// 16 rows of x by 16 columns; 16 columns by 16 rows of W, whose rows lie as columns; and their products, summed up in f32.
alias OfX = coop_mat16x16<f16, A>;
alias OfW = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

fn of_x(at: u32) -> OfX {
    return coopLoadT<OfX>(&tile_x[at], PITCH);
}

fn of_w(at: u32) -> OfW {
    return coopLoad<OfW>(&tile_w[at], PITCH);
}

fn multiply_add(x: OfX, w: OfW, sums: Sums) -> Sums {
    return coopMultiplyAdd(x, w, sums);
}

fn take_sums(at: u32) -> Sums {
    return coopLoadT<Sums>(&scratch[at], 16u);
}

fn put_sums(sums: Sums, at: u32) {
    coopStoreT(sums, &scratch[at], 16u);
}
