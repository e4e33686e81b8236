/*
 * Device libraries of all backends: casts from floating point to integers, and arithmetic of
 * indices. What stands in front of this text defines LIBRARY, which begins a function, and rt_i64;
 * it includes nothing and is C and C++ at once.
 */
/* Casts from floating point: towards zero; out of range gives the nearest end, NaN gives 0. */
LIBRARY int m_to_i32_f32(float x)
{
    float bounded = x > -2147483648.0f ? x : -2147483648.0f;
    int inside = (int)(bounded < 2147483520.0f ? bounded : 2147483520.0f);
    return x != x ? 0 : x >= 2147483648.0f ? 2147483647 : inside;
}

LIBRARY int m_to_i32_f64(double x)
{
    double bounded = x > -2147483648.0 ? x : -2147483648.0;
    int inside = (int)(bounded < 2147483647.0 ? bounded : 2147483647.0);
    return x != x ? 0 : inside;
}

LIBRARY rt_i64 m_to_i64_f64(double x)
{
    double bounded = x > -9223372036854775808.0 ? x : -9223372036854775808.0;
    rt_i64 inside = (rt_i64)(bounded < 9223372036854774784.0 ? bounded : 9223372036854774784.0);
    return x != x ? 0 : x >= 9223372036854775808.0 ? 9223372036854775807L : inside;
}

LIBRARY rt_i64 m_to_i64_f32(float x)
{
    return m_to_i64_f64(x);
}

/* Floor division of indices, for positive `by`. */
LIBRARY rt_i64 m_div_i64(rt_i64 a, rt_i64 by)
{
    return a / by - (a % by < 0);
}

LIBRARY rt_i64 m_clamp_i64(rt_i64 a, rt_i64 high)
{
    rt_i64 bounded = a < high ? a : high;
    return bounded > 0 ? bounded : 0;
}

LIBRARY rt_i64 m_least_i64(rt_i64 a, rt_i64 b)
{
    return a < b ? a : b;
}

LIBRARY rt_i64 m_most_i64(rt_i64 a, rt_i64 b)
{
    return a > b ? a : b;
}
