# registers.awk: from ptxas -v (demangled by c++filt) to a table of kernels, one line each with the numbers of every
# architecture. With check=1 prints only the kernels that spill, and fails if there are any.
function tidy(s) {
    sub(/^static /, "", s)
    sub(/^void /, "", s)
    sub(/\(nsamp_.*/, "", s)
    sub(/\((unsigned|bool|float|double|const|int|uint).*/, "", s)
    gsub(/\(unsigned int\)|system_/, "", s)
    gsub(/unsigned short/, "bf16", s)
    gsub(/([0-9])u/, "&", s)
    gsub(/, /, ",", s)
    return s
}
/Compiling entry function/ {
    split($0, q, "'")
    foreign = q[2] ~ /cub::|thrust::/ # the library's kernels are its own affair
    if (foreign) next
    kernel = tidy(q[2])
    arch = q[4]
    sub(/a$/, "", arch) # sm_90a: the same machine
    if (!(kernel in seen)) order[++n] = kernel
    seen[kernel] = 1
    if (!(arch in known)) archs[++m] = arch
    known[arch] = 1
}
foreign { next }
/bytes stack frame/ {
    stack[kernel, arch] = $1 + 0
    spill[kernel, arch] = $5 + $9
    if (spill[kernel, arch] > worst) worst = spill[kernel, arch]
}
/Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/)
    registers[kernel, arch] = substr($0, RSTART + 5, RLENGTH - 5)
    shared[kernel, arch] = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
}
END {
    if (check) {
        for (i = 1; i <= n; i++)
            for (j = 1; j <= m; j++)
                if (spill[order[i], archs[j]] > 0)
                    printf "error: %s spills %d bytes for %s\n", order[i], spill[order[i], archs[j]], archs[j]
        exit worst > 0
    }
    printf "%-52s", "CUDA kernel: registers, spills, stack, static shared"
    for (j = 1; j <= m; j++) printf "  %16s", archs[j]
    print ""
    for (i = 1; i <= n; i++) {
        printf "%-52s", order[i]
        for (j = 1; j <= m; j++) {
            k = order[i] SUBSEP archs[j]
            if (k in registers)
                printf "  %4d %4d %4d %4d", registers[k], spill[k], stack[k], shared[k]
            else
                printf "  %4s %4s %4s %4s", "-", "-", "-", "-" # not compiled for it
        }
        print ""
    }
}
