# sass.awk: instructions in the loop over steps of each kernel, from `cuobjdump -sass | c++filt`. The loop is the longest
# stretch that a branch goes back over. A static count: each instruction once, whether or not its branch is taken.
# Of the small networks' kernels also the loop over units, the longest in it that holds no other: KERNEL:units.
# With -v only=NAME counts kernels whose name holds NAME. A line a kernel: name, all, then by kind. Any awk will do.
function hex(text,   i, v) {
    v = 0
    text = tolower(text)
    for (i = 1; i <= length(text); i++)
        v = 16 * v + index("0123456789abcdef", substr(text, i, 1)) - 1
    return v
}
function kind(op) {
    if (op ~ /^IMAD\.WIDE/ || op ~ /^IMAD\.HI/) return "wide"
    if (op ~ /^(FFMA|FMUL|FADD)/) return "fp32"
    if (op ~ /^MUFU/) return "mufu"
    if (op ~ /^LOP3/) return "lop3"
    if (op ~ /^(HMMA|HGMMA)/) return "mma"
    if (op ~ /^LDC/) return "other" # constants, the arguments among them
    if (op ~ /^(LDS|STS)/) return "shared"
    if (op ~ /^(LDG|STG|LDL|STL|LD|ST|ATOM)/) return "memory"
    if (op ~ /^(BRA|BSSY|BSYNC|CALL|RET|EXIT|WARPSYNC|BAR|YIELD|NOP)/) return "control"
    if (op ~ /^U/) return "uniform"
    return "other"
}
# Prints what lies between two addresses.
function row(name, from, to,   i, k, sum, line, total) {
    for (k = 1; k <= kinds; k++) sum[name_of[k]] = 0
    total = 0
    for (i = 0; i < count; i++)
        if (at[i] >= from && at[i] <= to) {
            total++
            sum[kind(op[i])]++
        }
    line = sprintf("%-36s %6d", name, total)
    for (k = 1; k <= kinds; k++) line = line sprintf(" %7d", sum[name_of[k]])
    print line
}
function holds(a, b) { # loop a holds loop b
    return a != b && first[a] <= first[b] && last[a] >= last[b] && last[a] - first[a] > last[b] - first[b]
}
function finish(   i, j, best, inner, simple) {
    if (count == 0) return
    best = inner = -1
    for (i = 0; i < branches; i++)
        if (best < 0 || last[i] - first[i] > last[best] - first[best]) best = i
    if (best < 0) {
        row(kernel, 1, 0)
        return
    }
    row(kernel, first[best], last[best])
    if (kernel !~ /^rsn_/) return
    for (i = 0; i < branches; i++) {
        simple = 1
        for (j = 0; j < branches; j++)
            if (holds(i, j)) simple = 0
        if (simple && holds(best, i) && (inner < 0 || last[i] - first[i] > last[inner] - first[inner])) inner = i
    }
    if (inner >= 0) row(kernel ":units", first[inner], last[inner])
}
function tidy(s) {
    sub(/^static /, "", s)
    sub(/^void /, "", s)
    sub(/\(nsamp_.*/, "", s)
    gsub(/\(unsigned int\)|\(bool\)|system_|nsamp_/, "", s)
    gsub(/, /, ",", s)
    return s
}
BEGIN {
    kinds = split("fp32 wide lop3 mufu mma shared memory control uniform other", name_of, " ")
    line = sprintf("%-36s %6s", "kernel (sm_90)", "all")
    for (k = 1; k <= kinds; k++) line = line sprintf(" %7s", name_of[k])
    print line
}
/Function :/ {
    finish()
    sub(/.*Function : /, "")
    kernel = tidy($0)
    count = branches = 0
    skip = only != "" && index(kernel, only) == 0
    next
}
skip { next }
/^[ \t]*\/\*[0-9a-f][0-9a-f][0-9a-f][0-9a-f]+\*\/ +[^ \/]/ {
    split($1, part, "*")
    address = hex(substr(part[2], 1))
    o = $2 ~ /^@/ ? 3 : 2
    op[count] = $o
    at[count] = address
    count++
    if ($o ~ /^BRA/)
        for (i = o + 1; i <= NF; i++)
            if ($i ~ /^0x/) {
                target = $i
                sub(/^0x/, "", target)
                sub(/[^0-9a-f].*/, "", target)
                to = hex(target)
                if (to < address) {
                    first[branches] = to
                    last[branches] = address
                    branches++
                }
            }
}
END { if (!skip) finish() }
