/* Device libraries of all backends: keys whose unsigned order is the order of the values, upward
 * or downward; all NaN stand last in both. See math.h. */

LIBRARY rt_u32 sort_key_f32(float x)
{
    rt_u32 bits = bits_of_f32(x == 0 ? 0.0f : x);
    rt_u32 flip = bits >> 31 ? 0xffffffffu : 0x80000000u;
    return x != x ? 0xffffffffu : bits ^ flip;
}

LIBRARY rt_u32 sort_key_i32(int x)
{
    return (rt_u32)x ^ 0x80000000u;
}

LIBRARY rt_u32 sort_key_down_f32(float x)
{
    return sort_key_f32(-x);
}

LIBRARY rt_u32 sort_key_down_i32(int x)
{
    return ~sort_key_i32(x);
}
