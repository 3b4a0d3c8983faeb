# occupancy.awk: a line a kernel with its registers and the warps that they leave room for, from occupancy.txt (first file)
# and the table of registers.awk (second). -v arch=sm_90 names the column. A multiprocessor has 65536 registers, given out by
# 256 to a warp, and room for 64 warps.
FNR == 1 { file++ }
file == 1 {
    if ($0 !~ /^#/ && NF == 3) {
        begin[++plans] = $1
        threads[plans] = $2
        wanted[plans] = $3
    }
    next
}
FNR == 1 {
    for (i = 1; i <= NF; i++)
        if ($i ~ /^(sm|compute)_/ && ++columns && $i == arch) column = columns
    printf "%-38s %9s %6s %5s %6s %7s %5s %7s\n", "kernel (" arch ")", "registers", "spills", "stack", "shared", "threads", "warps", "planned"
    next
}
{
    r = NF - 4 * columns + 4 * (column - 1) + 1
    warp = int(($r * 32 + 255) / 256) * 256
    found = 0
    for (i = 1; i <= plans && !found; i++)
        if (begin[i] == "*" || substr($1, 1, length(begin[i])) == begin[i]) found = i
    block = found ? threads[found] / 32 : 1
    blocks = int(65536 / (warp * block))
    if (blocks * block > 64) blocks = int(64 / block)
    printf "%-38s %9d %6d %5d %6d %7d %5d %7d\n", $1, $r, $(r + 1), $(r + 2), $(r + 3), 32 * block, blocks * block, found ? wanted[found] : -1
}
